// Where the processors arrive from boot/image's 32-bit code: 64-bit mode,
// interrupts off, the first page tables, no stack.
#include "textflag.h"

// entry: the first processor. DI = physical address of hvm_start_info.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	LEAQ ·stack+65536(SB), SP
	LEAQ slowpath∕arch∕amd64·goosG(SB), AX
	MOVQ AX, slowpath∕arch∕amd64·goosTLS(SB) // what -8(FS) will be
	LEAQ slowpath∕arch∕amd64·goosTLS+8(SB), CX
	CALL slowpath∕arch∕amd64·writeFSBase(SB) // FSGSBASE is off yet
	SUBQ $16, SP
	MOVQ DI, 0(SP)
	CALL ·start(SB)
	JMP slowpath∕arch∕amd64·Resume(SB) // the runtime's first thread

// entryOther: every other processor, one at a time.
TEXT ·entryOther(SB), NOSPLIT|NOFRAME, $0
	LEAQ ·otherStack+16384(SB), SP
	LEAQ slowpath∕arch∕amd64·goosTLS+8(SB), CX
	CALL slowpath∕arch∕amd64·writeFSBase(SB)
	SUBQ $16, SP
	CALL ·startOther(SB)
	JMP slowpath∕arch∕amd64·Resume(SB) // its idle thread

// The borders of the image's parts, and what nothing else names.
DATA ·borders+0(SB)/8, $runtime·text(SB)
DATA ·borders+8(SB)/8, $runtime·etext(SB)
DATA ·borders+16(SB)/8, $runtime·noptrdata(SB)
DATA ·borders+24(SB)/8, $runtime·end(SB)
DATA ·borders+32(SB)/8, $·entry(SB)
DATA ·borders+40(SB)/8, $·entryOther(SB)
GLOBL ·borders(SB), RODATA, $48
