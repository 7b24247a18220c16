module zkhelper

go 1.19
