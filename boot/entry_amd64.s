// The entry points from boot/image's code. The CPU is in 64-bit mode, with
// interrupts off, the first page tables loaded, and no stack.
#include "textflag.h"

// entry is where the first CPU starts. DI = physical address of hvm_start_info.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	LEAQ ·stack+65536(SB), SP // boot.stack, from its end
	LEAQ slowpath∕arch∕amd64·goosTLS+8(SB), CX
	CALL slowpath∕arch∕amd64·writeFSBase(SB) // CR4.FSGSBASE is not set yet
	SUBQ $16, SP // the argument of start, and alignment
	MOVQ DI, 0(SP)
	CALL ·start(SB) // boot.start
	JMP slowpath∕arch∕amd64·Resume(SB) // continues the runtime's first thread

// entryOther is where every other CPU starts, one at a time.
TEXT ·entryOther(SB), NOSPLIT|NOFRAME, $0
	LEAQ ·otherStack+16384(SB), SP // boot.otherStack, from its end
	LEAQ slowpath∕arch∕amd64·goosTLS+8(SB), CX
	CALL slowpath∕arch∕amd64·writeFSBase(SB)
	SUBQ $16, SP
	CALL ·startOther(SB) // boot.startOther
	JMP slowpath∕arch∕amd64·Resume(SB) // continues the CPU's idle thread

// boot.borders. The last two keep the linker from dropping the entry points.
DATA ·borders+0(SB)/8, $runtime·text(SB)
DATA ·borders+8(SB)/8, $runtime·etext(SB)
DATA ·borders+16(SB)/8, $runtime·noptrdata(SB)
DATA ·borders+24(SB)/8, $runtime·end(SB)
DATA ·borders+32(SB)/8, $·entry(SB)
DATA ·borders+40(SB)/8, $·entryOther(SB)
GLOBL ·borders(SB), RODATA, $48
