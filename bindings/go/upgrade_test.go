package zkhelper_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"zkhelper"
)

// TestOldAndNewProcessesTakeTurns is a rolling upgrade: processes that do what the old package does, and
// processes of this one, on one mutex and one election. A new leader waits for the fifteen seconds that an old one might believe
// still, since that one does not say that it left; so the elections take their time.
func TestOldAndNewProcessesTakeTurns(t *testing.T) {
	seconds := 40
	if asked := os.Getenv("ZKHELPER_INTEROP_SECONDS"); asked != "" {
		var err error
		seconds, err = strconv.Atoi(asked)
		check(t, err)
	} else if prove() {
		seconds = 60
	}
	old := filepath.Join(t.TempDir(), "oldpeer")
	command := exec.Command("go", "build", "-o", old, "./oldpeer")
	command.Dir = "../../tests/interop/go"
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	programs := map[string]string{"old": old, "new": build(t, "testdata/newpeer")}
	onEach(t, func(t *testing.T, address, root string) {
		t.Parallel()
		dir := t.TempDir()
		var all sync.WaitGroup
		for kind, program := range programs {
			for i := 0; i < 2; i++ {
				name := fmt.Sprint(kind, " ", i)
				command := exec.Command(program, address, root, dir, strconv.Itoa(seconds))
				all.Add(1)
				go func() {
					defer all.Done()
					output, err := command.CombinedOutput()
					t.Logf("%s: %s", name, output)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					var locks, terms int
					if _, err := fmt.Sscanf(string(output), "mutex %d\nelection %d\n", &locks, &terms); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if locks == 0 || terms == 0 {
						t.Errorf("%s was not served", name)
					}
				}()
			}
		}
		all.Wait()
		conn := connect(t, address)
		for _, at := range []string{"/mutex", "/election/candidates"} {
			left, err := zkhelper.ChildrenRecursive(conn, root+at)
			check(t, err)
			require(t, len(left) == 0, "nothing is left", at, left)
		}
	})
}
