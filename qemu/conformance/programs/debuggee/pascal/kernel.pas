{ Kernel uses processes, threads, signals, files, pipes, time and faults from Free Pascal,
  whose run-time library makes most of its system calls itself, by INT 0x80. }
program kernel;

{$mode objfpc}{$H+}
{$SAFEFPUEXCEPTIONS ON} { FWAIT after each operation: QEMU does not see a pending exception at other instructions }

uses
  cthreads, BaseUnix, Unix, SysUtils, Classes;

const
  Threads = 4;
  Rounds = 20000;
  Gigabytes = 5;

type
  TAdder = class(TThread)
    procedure Execute; override;
  end;

var
  Lock: TRTLCriticalSection;
  Total: Int64 = 0;
  Hits: LongInt = 0;

procedure TAdder.Execute;
var
  i: Integer;
begin
  for i := 1 to Rounds do
  begin
    EnterCriticalSection(Lock);
    Total := Total + i;
    LeaveCriticalSection(Lock);
  end;
end;

procedure OnSignal(Number: cint; Info: psiginfo; Context: psigcontext); cdecl;
begin
  Hits := Hits + 1;
  WriteLn('signal ', Number, ' code ', Info^.si_code);
end;

procedure UseThreads;
var
  List: array[1..Threads] of TAdder;
  i: Integer;
begin
  InitCriticalSection(Lock);
  for i := 1 to Threads do
    List[i] := TAdder.Create(False);
  for i := 1 to Threads do
  begin
    List[i].WaitFor;
    List[i].Free;
  end;
  WriteLn('threads: ', Total);
end;

procedure UseSignals;
var
  Action: SigActionRec;
begin
  FillChar(Action, SizeOf(Action), 0);
  Action.sa_handler := SigActionHandler(@OnSignal);
  Action.sa_flags := SA_SIGINFO;
  FpSigAction(SIGUSR1, @Action, nil);
  FpSigAction(SIGALRM, @Action, nil);
  FpKill(FpGetPid, SIGUSR1);
  FpAlarm(1);
  while Hits < 2 do
    FpPause;
end;

{ A fault becomes an exception: the handler changes the registers of the signal frame. }
procedure UseFaults;
var
  P: PInteger = nil;
  Zero: Integer = 0;
  X: Double = 0;
begin
  try
    P^ := 1;
  except
    on E: EAccessViolation do WriteLn(E.ClassName);
  end;
  try
    WriteLn(1 div Zero);
  except
    on E: EDivByZero do WriteLn(E.ClassName);
  end;
  try
    X := 1 / X;
    WriteLn(X);
  except
    on E: EMathError do WriteLn(E.ClassName);
  end;
end;

procedure UseProcesses;
var
  Ends: TFilDes;
  Child: TPid;
  Status: cint = 0;
  Text: array[0..15] of Char;
  Count: TSsize;
begin
  Flush(Output);
  FpPipe(Ends);
  Child := FpFork;
  if Child = 0 then
  begin
    FpWrite(Ends[1], PChar('from the child'), 14);
    FpExit(7);
  end;
  FpClose(Ends[1]);
  Count := FpRead(Ends[0], Text, SizeOf(Text));
  FpWaitPid(Child, Status, 0);
  WriteLn(Copy(Text, 1, Count), ', exit ', WEXITSTATUS(Status));
  WriteLn('shell: ', ExecuteProcess('/bin/sh', ['-c', 'exit 3']));
end;

{ A file of 5 GB: offsets that do not fit into a register. }
procedure UseFiles;
var
  F: TFileStream;
  Info: stat;
  Names: TSearchRec;
begin
  F := TFileStream.Create('/tmp/pascal.data', fmCreate);
  F.Seek(Int64(Gigabytes) shl 30, soBeginning);
  F.WriteByte(42);
  WriteLn('size ', F.Size);
  F.Seek(-1, soEnd);
  WriteLn('byte ', F.ReadByte, ' at ', F.Position - 1);
  F.Free;
  FpStat('/tmp/pascal.data', Info);
  WriteLn('stat ', Info.st_size);
  if FindFirst('/tmp/pascal.*', faAnyFile, Names) = 0 then
    WriteLn('found ', Names.Name, ' ', Names.Size);
  FindClose(Names);
  DeleteFile('/tmp/pascal.data');
  WriteLn('errno ', FpOpen('/tmp/pascal.data', O_RDONLY), ' ', FpGetErrno);
end;

procedure UseTime;
var
  Start: QWord;
begin
  Start := GetTickCount64;
  Sleep(20);
  WriteLn('slept ', GetTickCount64 - Start >= 20, ', year ', CurrentYear >= 2024);
end;

begin
  UseThreads;
  UseSignals;
  UseFaults;
  UseProcesses;
  UseFiles;
  UseTime;
end.
