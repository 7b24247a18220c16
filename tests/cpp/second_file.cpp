// Linked to another file that includes the same headers.
#include <zkhelper.hpp>

zkh_mutex second_file(zkh::error *, zkh::elector *);

zkh_mutex second_file(zkh::error *, zkh::elector *)
{
    zkh::on_exception({});
    return zkh::mutex().handle();
}
