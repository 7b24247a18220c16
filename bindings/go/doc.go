// Package zkhelper has distributed locks, leader elections and helpers for ZooKeeper's tree of nodes.
//
// It has two faces. The names of the old package github.com/ngaut/zkhelper are all here, with their signatures: a
// program changes the import paths of that package and of its driver (to zkhelper/zk) and compiles; what behaves
// differently, and why, is in MIGRATION.md. New programs take [NewMutex] and [NewElector], which know contexts, tell of a
// loss and give fencing tokens.
//
//	conn, err := zkhelper.ConnectToZk("host1:2181,host2:2181")
//	...
//	mutex, err := zkhelper.NewMutex(conn, "/zk/reports/lock")
//	...
//	defer mutex.Close()
//	if err := mutex.LockContext(ctx, "nightly report"); err != nil {
//		return err
//	}
//	defer mutex.Unlock()
//
// A lock is held until Unlock, or until it is lost: [Mutex.Lost] tells. Let the resource that it protects refuse a
// [Mutex.Token] smaller than the largest it has seen.
//
// A goroutine that waits here takes no thread of the operating system, but for the first millisecond of a call that is the
// only one under way. When the context of a wait ends, the wait is cancelled and its outcome awaited, so that no lock is
// granted to nobody.
//
// # Errors
//
// The functions with old names return the old error variables, such as [ErrTimeout] and zk.ErrNoNode, themselves. The new ones
// return an [*Error]; errors.Is finds it by its [Code], by the old variable of the same meaning and by the error of the
// context that ended a wait.
//
// # Linking
//
// The package is cgo over the C library, which pkg-config finds (package zkhelper). With the build tag zkhelper_static the
// archive is linked instead (package zkhelper-static), and the program needs no shared library of ours.
package zkhelper
