package integration

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// example is a command of the README with its output.
type example struct{ command, output string }

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	promptLine   = regexp.MustCompile(`(?m)^\$ `)
)

// readExamples returns the commands after a prompt in the console blocks of a text.
func readExamples(text string) []example {
	var examples []example
	for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
		for _, part := range promptLine.Split(block[1], -1)[1:] {
			command, output, _ := strings.Cut(part, "\n")
			examples = append(examples, example{command, output})
		}
	}
	return examples
}

// TestReadmeExamplesPrintWhatItSays runs the README's examples in order and compares
// the output.
func TestReadmeExamplesPrintWhatItSays(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := readExamples(string(text))
	if len(examples) < 5 {
		t.Fatalf("the README has %d examples", len(examples))
	}
	for _, e := range examples {
		cmd := exec.Command("bash", "-c", e.command)
		cmd.Dir = "../.."
		got, err := cmd.CombinedOutput()
		if _, failed := err.(*exec.ExitError); err != nil && !failed {
			t.Fatal(err)
		}
		if string(got) != e.output {
			t.Errorf("$ %s\nprints\n%s\nbut the README says\n%s", e.command, got, e.output)
		}
	}
}

func TestExamplesAreReadFromConsoleBlocks(t *testing.T) {
	got := readExamples("text\n```console\nmake run\n$ a b\n1\n2\n$ c\n```\n```sh\n$ no\n```\n")
	if len(got) != 2 || got[0] != (example{"a b", "1\n2\n"}) || got[1] != (example{"c", ""}) {
		t.Fatalf("got %q", got)
	}
}
