package main

import (
	"os/exec"
	"testing"
)

func TestOutputOfJobIsExtractedFromConsole(t *testing.T) {
	for console, want := range map[string]string{
		"boot\r\n" + jobBegins + "\r\n[OK]\r\n" + jobEnds + "0\r\nreboot": "\n[OK]\n",
		jobBegins + "\r\nit hangs\r\n":                                    "\nit hangs\n",
		"no kernel":                                                       "",
	} {
		if got := consoleOfJob(console); got != want {
			t.Errorf("the output in %q is %q, want %q", console, got, want)
		}
	}
}

func TestShellReadsQuotedWordUnchanged(t *testing.T) {
	for _, word := range []string{"", "a b", "it's", `"$HOME" \`, "'''"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("the shell reads %q as %q, %v", word, out, err)
		}
	}
}
