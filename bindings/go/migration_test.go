package zkhelper_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build makes a program of testdata, linked as these tests are.
func build(t *testing.T, dir string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(dir))
	output, err := exec.Command("go", "build", "-tags", tags, "-o", program, "./"+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return program
}

func TestAProgramForTheOldPackageMovesOverWithTwoImportLines(t *testing.T) {
	read := func(form string) []string {
		text, err := os.ReadFile(filepath.Join("testdata/migration", form, "main.go"))
		check(t, err)
		return strings.Split(string(text), "\n")
	}
	before, after := read("old"), read("new")
	require(t, len(before) == len(after), "the two forms have as many lines")
	changed := map[string]string{}
	for i := range before {
		if before[i] != after[i] {
			changed[strings.TrimSpace(before[i])] = strings.TrimSpace(after[i])
		}
	}
	require(t, len(changed) == 2 &&
		changed[`"github.com/ngaut/zkhelper"`] == `"zkhelper"` &&
		changed[`"github.com/ngaut/go-zookeeper/zk"`] == `"zkhelper/zk"`, "they differ in two imports", changed)

	program := build(t, "testdata/migration/new")
	onEach(t, func(t *testing.T, address, _ string) {
		output, err := exec.Command(program, address).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	})
}
