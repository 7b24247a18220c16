// Package apache starts Apache ZooKeeper for the tests of this module. Nothing else imports it.
package apache

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// classPath finds Apache ZooKeeper as the tests of the core do: named by a variable, Debian's package, or what
// scripts/zookeeper-39.sh fetched.
func classPath() (string, error) {
	const variable = "ZKHELPER_ZOOKEEPER_CLASSPATH"
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	const debian = "/usr/share/java/zookeeper.jar"
	if _, err := os.Stat(debian); err == nil {
		return debian + ":/usr/share/java/slf4j-simple.jar", nil
	}
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = filepath.Join(root(), "target")
	}
	jars, err := filepath.Glob(filepath.Join(target, "zookeeper-3.9", "*.jar"))
	if err != nil || len(jars) == 0 {
		return "", fmt.Errorf("no Apache ZooKeeper here: run scripts/setup.sh, or set %s", variable)
	}
	return strings.Join(jars, ":"), nil
}

// root is the top of the repository: where Cargo.toml is.
func root() string {
	dir, _ := os.Getwd()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "Cargo.toml")); err == nil {
			break
		}
	}
	return dir
}

// Address is the server that Main started.
var Address string

// Main runs a package's tests with one server beside them. It dies with the tests' process, also if that is killed.
func Main(m *testing.M) {
	home, err := os.MkdirTemp("", "zkhelper-go")
	if err == nil {
		err = launch(home)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	server.stop()
	_ = os.RemoveAll(home)
	os.Exit(code)
}

var server struct{ stop func() }

func launch(home string) error {
	jars, err := classPath()
	if err != nil {
		return err
	}
	for attempt := 0; attempt < 5; attempt++ {
		if Address, err = free(); err != nil {
			return err
		}
		// Somebody else may take the port in between.
		if err = start(jars, home); err == nil {
			return nil
		}
	}
	return err
}

func free() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

func start(jars, home string) error {
	_, port, _ := net.SplitHostPort(Address)
	config := filepath.Join(home, "zoo.cfg")
	text := fmt.Sprintf("dataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\ntickTime=500\n"+
		"minSessionTimeout=1000\nmaxSessionTimeout=60000\nadmin.enableServer=false\nmaxClientCnxns=0\n", home, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	output, err := os.Create(filepath.Join(home, "output"))
	if err != nil {
		return err
	}
	defer output.Close()
	command := exec.Command("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dzookeeper.4lw.commands.whitelist=*", "-Dzookeeper.forceSync=no", "-cp", jars,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begun, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// The child's life hangs on the thread that started it.
		runtime.LockOSThread()
		err := command.Start()
		begun <- err
		if err == nil {
			_ = command.Wait()
		}
		close(ended)
	}()
	if err := <-begun; err != nil {
		return err
	}
	server.stop = func() {
		_ = command.Process.Kill()
		<-ended
	}
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline) && !serves(Address); {
		select {
		case <-ended:
			said, _ := os.ReadFile(output.Name())
			return fmt.Errorf("the server ended: %s", said)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if !serves(Address) {
		server.stop()
		return errors.New("the server does not serve")
	}
	return nil
}

// serves asks the server itself.
func serves(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return false
	}
	answer := make([]byte, 1024)
	n, _ := conn.Read(answer)
	return strings.Contains(string(answer[:n]), "Zookeeper version")
}
