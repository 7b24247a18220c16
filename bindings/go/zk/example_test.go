package zk_test

import (
	"context"
	"errors"
	"fmt"

	"zkhelper/zk"
)

func ExampleConn_AddWatch() {
	ctx := context.Background()
	conn, err := zk.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	watch, err := conn.AddWatch(ctx, "/example-setting", zk.WatchPersistent)
	if err != nil {
		panic(err)
	}
	defer watch.Close()
	if _, err := conn.Create("/example-setting", []byte("1"), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		panic(err)
	}
	if _, err := conn.Set("/example-setting", []byte("2"), -1); err != nil {
		panic(err)
	}
	fmt.Println((<-watch.Events()).Type)
	fmt.Println((<-watch.Events()).Type)
	// Output:
	// EventNodeCreated
	// EventNodeDataChanged
}

func ExampleConn_Commit() {
	ctx := context.Background()
	conn, err := zk.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	create := zk.CreateOp("/example-new", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	_, err = conn.Commit(ctx, create, zk.CheckOp("/example-none", -1))
	fmt.Println("nothing was made:", errors.Is(err, zk.ErrNoNode))
	results, err := conn.Commit(ctx, create)
	fmt.Println(results[0].Path, err)
	// Output:
	// nothing was made: true
	// /example-new <nil>
}

// The C library has to be built with TLS for this.
func ExampleTLS() {
	_, err := zk.Dial(context.Background(), "zk1.example.com:2281", zk.TLS(zk.TLSConfig{
		AuthorityFile:   "/etc/myservice/ca.pem",
		CertificateFile: "/etc/myservice/client.pem",
		KeyFile:         "/etc/myservice/client.key",
	}))
	fmt.Println("no such file, or no TLS in the library:", err != nil)
	// Output:
	// no such file, or no TLS in the library: true
}
