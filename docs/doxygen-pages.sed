# Links to pages that are not in the reference become their text.
s#\[\([^]]*\)\](\(lock-protocol\|evidence\|lent\|design\|session\)\.md[^)]*)#\1#g
s#\[\([^]]*\)\](\.\./[^)]*)#\1#g
