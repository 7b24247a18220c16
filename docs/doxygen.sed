# What doxygen reads in place of zkhelper.h: cbindgen writes its comments with two slashes, and the head of the file as
# a plain comment.
1s|^/\*$|/** @file|
s|^\( *\)// |\1/// |
s|<|\&lt;|g
s|^#include &lt;|#include <|
