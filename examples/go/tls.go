//go:build ignore

// Takes a lock over TLS: go run tls.go HOST:PORT CA [CERTIFICATE KEY], files in PEM form. The C library has to be built with
// TLS: make install FEATURES=tls
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"zkhelper"
	"zkhelper/zk"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 && len(os.Args) != 5 {
		log.Fatal("usage: tls HOST:PORT CA [CERTIFICATE KEY]")
	}
	config := zk.TLSConfig{AuthorityFile: os.Args[2]}
	if len(os.Args) == 5 {
		config.CertificateFile, config.KeyFile = os.Args[3], os.Args[4]
	}
	if err := run(os.Args[1], config); err != nil {
		log.Fatal(err)
	}
}

func run(address string, config zk.TLSConfig) error {
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, address, zk.TLS(config))
	if err != nil {
		return err
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, "/zk/demo/lock")
	if err != nil {
		return err
	}
	defer mutex.Close()
	if err := mutex.LockContext(ctx, "over TLS"); err != nil {
		return err
	}
	fmt.Println("held over TLS; the fencing token is", mutex.Token())
	return mutex.Unlock()
}
