module peers

go 1.19

require (
	github.com/go-zookeeper/zk v1.0.4
	zkhelper v0.0.0
)

replace zkhelper => ../../../bindings/go
