module zkhelper/examples

go 1.19

require zkhelper v0.0.0

replace zkhelper => ../../bindings/go
