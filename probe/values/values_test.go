package values

import (
	"encoding/json"
	"strings"
	"testing"

	"slowpath/probe/probetest"
	"slowpath/probe/spec"
	"slowpath/probe/symbols"
	"slowpath/uprobe/fetch"
)

// probe is a compiled probe of a test.
type probe struct {
	text   string
	layout *Layout
	site   symbols.Site
}

// compile compiles a spec for a program. It returns one probe for each site.
func compile(t *testing.T, r *Reader, text string) (probes []probe) {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	found, err := r.object.Find(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range found.Sites {
		l, err := r.Compile(&site, s)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		probes = append(probes, probe{text, l, site})
	}
	return probes
}

// fetchAll evaluates the fetch arguments as the kernel does.
func fetchAll(l *Layout, h *fetch.Hit) []byte {
	const limit = 16 << 10
	size := 0
	for i := range l.Arguments {
		size += l.Arguments[i].FixedSize()
	}
	record, at := make([]byte, size), 0
	for i := range l.Arguments {
		a := &l.Arguments[i]
		most := limit
		if a.Max > 0 {
			most = min(limit, len(record)+a.Max)
		}
		record = a.Fetch(h, record, at, most)
		at += a.FixedSize()
	}
	return record
}

// shown runs a program with probes and returns what each of them shows, hit by hit.
func shown(t *testing.T, program string, texts ...string) map[string][]string {
	t.Helper()
	o, err := symbols.Open(probetest.Root("/"), program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	r := NewReader(o)
	at := map[uint64][]probe{}
	var breakpoints []uint64
	for _, text := range texts {
		for _, p := range compile(t, r, text) {
			at[p.site.Address] = append(at[p.site.Address], p)
			breakpoints = append(breakpoints, p.site.Address)
		}
	}
	got := map[string][]string{}
	pending := map[uint64][]probe{}
	probetest.Run(t, program, breakpoints, func(h *probetest.Hit) (more []uint64) {
		show := func(p probe) {
			offset, _ := p.site.Offset()
			hit := p.layout.Decode(fetchAll(p.layout, &fetch.Hit{Frame: h.Frame, Memory: h, FileBase: p.site.Address - offset}))
			got[p.text] = append(got[p.text], text(hit.Values))
		}
		for _, p := range pending[h.Address] {
			show(p)
		}
		delete(pending, h.Address)
		for _, p := range at[h.Address] {
			if !p.site.Return {
				show(p)
				continue
			}
			back := h.Word(h.Frame.RSP)
			pending[back] = append(pending[back], p)
			more = append(more, back)
		}
		return more
	})
	return got
}

func text(values []Named) string {
	var parts []string
	for _, v := range values {
		if _, err := json.Marshal(v.Value.JSON()); err != nil {
			parts = append(parts, err.Error())
		}
		part := v.Value.String()
		if v.Name != "" {
			part = v.Name + "=" + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

// check compares what probes show with what is wanted, by spec.
func check(t *testing.T, program string, wanted map[string]string) {
	t.Helper()
	var texts []string
	for text := range wanted {
		texts = append(texts, text)
	}
	got := shown(t, program, texts...)
	for text, want := range wanted {
		if all := strings.Join(got[text], "; "); all != want {
			t.Errorf("%s shows\n  %s\nwant\n  %s", text, all, want)
		}
	}
}

const cSource = `#include <stddef.h>
struct big { long a, b, c; char text[8]; };
struct small { int x; double y; };
struct item { int id; const char *name; struct small inner; unsigned bits : 3, more : 5; float f; int list[3]; struct item *next; };
enum color { RED, GREEN = 5 };
typedef unsigned char byte;
int counter = 41;
#define NO __attribute__((noinline, noclone))
NO double numbers(int a, unsigned char b, long long c, double d, float e, enum color f, _Bool g, char h)
{ __asm__ volatile(""); counter++; return a + b + c + d + e + f + g + h; }
NO struct small strings(const char *s, char *null, struct small sm, struct big b, struct big *p)
{ __asm__ volatile(""); struct small r = { s[0] + sm.x + b.a + p->a + (null != 0), 2.5 }; return r; }
NO struct big many(int a, int b, int c, int d, int e, int f, int g, short h)
{ __asm__ volatile(""); struct big r = { a + b + c + d + e + f, g, h, "res" }; return r; }
NO const char *items(struct item *i, struct item v, const char **argv)
{ __asm__ volatile(""); return argv[1] ? i->name : v.name; }
NO void callback(void (*f)(void *)) { __asm__ volatile("" :: "r"(f) : "memory"); }
NO void nothing(void *p) { __asm__ volatile("" :: "r"(p) : "memory"); }
int main(void)
{
	struct big b = { 1, 2, 3, "inside" };
	struct small s = { 7, 0.5 };
	struct item next = { 2, "second", { 0, 0 }, 0, 0, 0, { 0 }, NULL };
	struct item i = { 1, "first", { 3, 4 }, 5, 17, 1.25f, { 7, 8, 9 }, &next };
	const char *words[] = { "one", "two", NULL };
	double n = numbers(-3, 200, 1LL << 40, 1.5, -0.25f, GREEN, 1, 'x');
	s = strings("hello\n", NULL, s, b, &b);
	b = many(1, 2, 3, 4, 5, 6, -7, 8);
	const char *name = items(&i, i, words);
	nothing(&b);
	callback(nothing);
	return n == 0 || name == NULL || s.x == 0;
}
`

func TestValuesOfC(t *testing.T) {
	for _, flags := range [][]string{{"-O0"}, {"-O2"}, {"-O2", "-gdwarf-4"}, {"-O0", "-fno-asynchronous-unwind-tables"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			program := probetest.C(t, cSource, append(flags, "-no-pie", "-static")...)
			item := `{id=1, name="first", inner={...}, bits=5, more=17, f=1.25, list=[7, 8, 9], next=0x`
			got := shown(t, program, "items(*)", "items(i)")
			if all := strings.Join(got["items(*)"], ";"); !strings.HasPrefix(all, "i=&"+item) || !strings.Contains(all, " v="+item) {
				t.Errorf("items(*) shows %s", all)
			}
			check(t, program, map[string]string{
				"numbers(*)":                      "a=-3 b=200 c=1099511627776 d=1.5 e=-0.25 f=GREEN g=true h='x'",
				"numbers%return":                  "1.09951162810025e+12",
				"numbers(d,a)":                    "d=1.5 a=-3",
				"numbers(counter)":                "counter=41",
				"strings(*)":                      `s="hello\n" null=0x0 sm={x=7, y=0.5} b={a=1, b=2, c=3, text="inside"} p=&{a=1, b=2, c=3, text="inside"}`,
				"strings%return":                  "{x=113, y=2.5}",
				"strings(p->b, y=sm.y, *p, s[1])": "p->b=2 y=0.5 *p={a=1, b=2, c=3, text=\"inside\"} s[1]='e'",
				"many(*)":                         "a=1 b=2 c=3 d=4 e=5 f=6 g=-7 h=8",
				"many%return":                     `{a=21, b=-7, c=8, text="res"}`,
				"items(i->next->name, i->list[2], argv[1], i->inner)": `i->next->name="second" i->list[2]=9 argv[1]="two" i->inner={x=3, y=4}`,
				"strings(t=$arg1:string, %rdi:string)":                `t="hello\n" %rdi="hello\n"`,
				"many($arg6:s32, $arg7:s32)":                          "$arg6=5 $arg7=6",
				"numbers(%xmm0:x64)":                                  "%xmm0=0x3ff8000000000000",
				"items%return":                                        `"first"`,
				"nothing%return":                                      "",
			})
		})
	}
}

const goSource = `package main

import (
	"errors"
	"os"
	"runtime"
)

func init() { runtime.LockOSThread() }

type pair struct {
	n    int32
	name string
}

type big struct {
	a, b, c, d, e, f, g, h, i, j int
	list                         [3]string
}

type myError struct{ code int }

func (e *myError) Error() string { return "mine" }

var global = 17

//go:noinline
func numbers(a int8, b uint16, c bool, d float32, e float64, f complex128, g rune) (float64, bool) {
	return float64(a) + float64(b) + float64(d) + e + real(f) + float64(g), !c
}

//go:noinline
func texts(s string, b []byte, words []string, p pair, q *pair, m map[string]int) (string, []int, error) {
	if len(words) == 0 {
		return "", nil, nil
	}
	return s + words[0] + p.name + q.name, []int{len(b), len(m), 3}, &myError{3}
}

//go:noinline
func large(x int, v big, y string) (r big, n int) {
	v.a += x
	return v, len(y)
}

//go:noinline
func (p *pair) method(f func() int, e any, err error) int {
	var buffer [4096]byte
	copy(buffer[:], p.name)
	if err == nil {
		return 0
	}
	return f() + int(p.n) + int(buffer[0])
}

//go:noinline
func unused(a int, _ string, c int) int { return c }

func inlined(x int, s string) int { return x*len(s) + global }

//go:noinline
func lines(list []string) (total int) {
	for i, word := range list {
		total += len(word) + i
		global++
	}
	return total
}

func main() {
	f, g := numbers(-5, 500, true, 1.5, 2.25, 3+4i, 'x')
	s, l, err := texts("hello", []byte("bytes"), []string{"one", "two"}, pair{7, "seven"}, &pair{8, "eight"}, nil)
	r, n := large(1, big{a: 1, j: 10, list: [3]string{"x", "y", "z"}}, "four")
	k := (&pair{9, "nine"}).method(func() int { return 1 }, 3, errors.New("e"))
	k += unused(1, "2", 3) + lines([]string{"a", "bc"})
	for _, word := range []string{"x", "yz"} {
		k += inlined(k, word)
	}
	if f == 0 || g || s == "" || len(l) == 0 || err == nil || r.a == 0 || n == 0 || k == 0 || global == 0 {
		os.Exit(1)
	}
}
`

func TestValuesOfGo(t *testing.T) {
	for name, flags := range map[string][]string{"optimised": nil, "not optimised": {"-gcflags=-N -l"}} {
		t.Run(name, func(t *testing.T) {
			program := probetest.Go(t, goSource, flags...)
			list := `list=["x", "y", "z"]`
			check(t, program, map[string]string{
				"main.numbers(*)":     "a=-5 b=500 c=true d=1.5 e=2.25 f={real=3, imag=4} g=120",
				"main.numbers%return": "621.75 false",
				"main.texts(*)":       `s="hello" b=[98, 121, 116, 101, 115] words=["one", "two"] p={n=7, name="seven"} q=&{n=8, name="eight"} m=0x0`,
				"main.texts(words[1], q.name, n=words, s[1])": `words[1]="two" q.name="eight" n=["one", "two"] s[1]=101`,
				"main.large(*)":       `x=1 v={a=1, b=0, c=0, d=0, e=0, f=0, g=0, h=0, i=0, j=10, ` + list + `} y="four"`,
				"main.large%return":   `r={a=2, b=0, c=0, d=0, e=0, f=0, g=0, h=0, i=0, j=10, ` + list + `} n=4`,
				"main.unused(a, c)":   "a=1 c=3",
				"main.unused%return":  "3",
				"main.unused(global)": "global=17",
			})
			// The Go compiler keeps few values of optimised code inside of functions.
			place, want := "main.lines:2(i, word, total)", `i=0 word="a" total=0; i=1 word="bc" total=1`
			if flags == nil {
				place, want = "main.lines:1(%rbx:u64)", "%rbx=2"
			}
			if got := strings.Join(shown(t, program, place)[place], "; "); got != want {
				t.Errorf("%s shows %s, want %s", place, got, want)
			}
			if hits := shown(t, program, "main.inlined")["main.inlined"]; len(hits) != 2 {
				t.Errorf("the function that may be inlined has %d hits, want 2", len(hits))
			}
			got := shown(t, program, "main.(*pair).method(*)", "main.texts%return")
			if all := strings.Join(got["main.(*pair).method(*)"], ";"); !strings.HasPrefix(all, `p=&{n=9, name="nine"} f=0x`) ||
				!strings.Contains(all, "e=(int)(0x") || !strings.Contains(all, "err=(*errors.errorString)(0x") {
				t.Errorf("method shows %s", all)
			}
			if all := strings.Join(got["main.texts%return"], ";"); !strings.HasPrefix(all, `"helloonesevenei`) || !strings.Contains(all, "[5, 0, 3] (*main.myError)(0x") {
				t.Errorf("texts returns %s", all)
			}
		})
	}
}

func TestValuesOfCPlusPlus(t *testing.T) {
	for _, flag := range []string{"-O0", "-O2"} {
		program := probetest.Build(t, "p.cc", `#include <string>
struct Base { int id; };
struct Derived : Base { std::string name; int n; Derived(int i, const char *s) : Base{i}, name(s), n(i + 1) {} ~Derived() {}
	int method(const std::string &text, Derived other, int &x); };
#define NO __attribute__((noinline, noclone))
NO int Derived::method(const std::string &text, Derived other, int &x) { asm volatile(""); x++; return text.size() + other.n + n; }
NO std::string make(int n) { asm volatile(""); return std::string(n, 'z'); }
int main() { Derived d(3, "three"), e(4, "four"); int x = 5; return d.method("some text", e, x) + make(4).size() == 0; }
`, "g++", "-g", flag, "-no-pie", "-static", "-o", "@program", "@source")
		check(t, program, map[string]string{
			"Derived::method(*)":                    `this=&{id=3, name="three", n=4} text=&"some text" other={id=4, name="four", n=5} x=&5`,
			"Derived::method%return":                "18",
			"Derived::method(this->name, this->id)": `this->name="three" this->id=3`,
			"make%return":                           `"zzzz"`,
		})
	}
}

func TestValuesOfRust(t *testing.T) {
	for _, level := range []string{"0", "2"} {
		program := probetest.Build(t, "p.rs", `pub struct Point { x: i32, y: f64 }
mod work {
	#[inline(never)] pub fn owned(s: &String, v: &Vec<u32>, t: String) -> usize { std::hint::black_box((s, v, &t)); s.len() + v.len() + t.len() }
	#[inline(never)] pub fn run(n: u64, s: &str, list: &[u16], p: &super::Point, flag: bool) -> u64 {
		std::hint::black_box((n, s.len(), list.len(), p.x, p.y, flag)); n + s.len() as u64 }
}
fn main() { let p = Point { x: -2, y: 0.5 }; use std::hint::black_box as b;
	if work::owned(&b(String::from("owned")), &b(vec![7, 8]), b(String::from("moved"))) == 0 { std::process::exit(2) }
	if b(work::run(b(7), b("text"), b(&[1, 2, 3]), b(&p), b(true))) == 0 { std::process::exit(1) } }
`, "rustc", "-g", "-C", "opt-level="+level, "-C", "relocation-model=static", "-C", "target-feature=+crt-static", "-o", "@program", "@source")
		wanted := map[string]string{"work::run(n, p)": "n=7 p=&{x=-2, y=0.5}", "work::run%return": "11"}
		wanted["work::owned(s, v)"] = `s=&"owned" v=&[7, 8]`
		if level == "0" { // the optimiser removes what the function does not use
			wanted["work::owned(t)"] = `t="moved"`
			wanted["work::run(*)"] = `n=7 s="text" list=[1, 2, 3] p=&{x=-2, y=0.5} flag=true`
		}
		check(t, program, wanted)
	}
}

func TestLinesAndInlinedCopies(t *testing.T) {
	for _, flag := range []string{"-O0", "-O2"} {
		program := probetest.C(t, `#include <stdio.h>
static inline __attribute__((always_inline)) int square(int side)
{
	return side * side;
}
int main(void)
{
	int sum = 0;
	for (int i = 1; i <= 3; i++) {
		sum += square(i);
		printf("%d\n", sum);
	}
	return 0;
}
`, flag, "-no-pie", "-static", "-fno-unroll-loops")
		if got := shown(t, program, "p.c:11(sum)"); len(got["p.c:11(sum)"]) == 0 {
			t.Errorf("%s: the line has no hit", flag)
		}
		if flag == "-O0" {
			got := shown(t, program, "p.c:11(i, sum)", "square(side)", "main:5(sum)")
			if all := strings.Join(got["p.c:11(i, sum)"], "; "); all != "i=1 sum=1; i=2 sum=5; i=3 sum=14" {
				t.Errorf("the line shows %s", all)
			}
			if all := strings.Join(got["square(side)"], "; "); all != "side=1; side=2; side=3" {
				t.Errorf("the inlined copy shows %s", all)
			}
			if all := strings.Join(got["main:5(sum)"], "; "); all != "sum=1; sum=5; sum=14" {
				t.Errorf("the line of the function shows %s", all)
			}
		}
	}
}
