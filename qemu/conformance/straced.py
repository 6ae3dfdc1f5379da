# Calls of many families from Python. What it prints does not matter.
import ctypes, fcntl, json, mmap, os, select, signal, socket, subprocess, tempfile, threading, time

os.mkdir("/tmp/work")
os.chdir("/tmp/work")
with open("file", "w") as f:
    json.dump({"key": [1, 2.5, None, "text"]}, f)
with open("file") as f:
    assert json.load(f)["key"][0] == 1
os.rename("file", "other")
os.symlink("other", "link")
assert os.readlink("link") == "other"
os.stat("link"), os.lstat("link"), os.access("nothing", os.R_OK)
os.mkdir("directory")
assert sorted(os.listdir(".")) == ["directory", "link", "other"] or True
os.chmod("other", 0o600)
os.utime("other", (1, 2))
os.truncate("other", 3)
try:
    os.open("missing", os.O_RDWR | os.O_CLOEXEC)
except FileNotFoundError:
    pass

fd = os.open("other", os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_GETFL)
fcntl.flock(fd, fcntl.LOCK_EX)
fcntl.lockf(fd, fcntl.LOCK_SH)
os.pwrite(fd, b"data", 4096)
os.preadv(fd, [bytearray(4)], 4096)
m = mmap.mmap(fd, 4096)
m[0:2] = b"ab"
m.flush()
m.close()
os.fsync(fd)
os.close(fd)

a, b = socket.socketpair()
a.sendall(b"hello")
poll = select.poll()
poll.register(b, select.POLLIN)
assert poll.poll(1000)
select.select([b], [a], [], 1)
assert b.recv(16) == b"hello"
socket.send_fds(a, [b"x"], [0])
received = socket.recv_fds(b, 1, 1)
os.close(received[1][0])
e = select.epoll()
e.register(b, select.EPOLLIN)
e.poll(0)
e.close()
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind("/tmp/socket")
s.listen(1)
c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
c.connect("/tmp/socket")
accepted, _ = s.accept()
c.getpeername(), accepted.getsockname()
for one in (a, b, s, c, accepted):
    one.close()

signal.signal(signal.SIGUSR1, lambda *_: None)
os.kill(os.getpid(), signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
assert signal.sigtimedwait([signal.SIGUSR2], 1).si_signo == signal.SIGUSR2
signal.setitimer(signal.ITIMER_REAL, 100)
signal.setitimer(signal.ITIMER_REAL, 0)
time.sleep(0.001)

t = threading.Thread(target=lambda: os.getppid())
t.start()
t.join()
assert subprocess.run(["/bin/busybox", "true"]).returncode == 0
assert subprocess.run(["/bin/sh", "-c", "echo text; exit 3"], stdout=subprocess.PIPE).returncode == 3
pid = os.fork()
if pid == 0:
    os._exit(7)
assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 7
libc = ctypes.CDLL(None)
libc.prctl(15, b"renamed", 0, 0, 0)
libc.personality(0xffffffff)
os.sched_getaffinity(0)
os.getpriority(os.PRIO_PROCESS, 0)
os.memfd_create("memory", os.MFD_CLOEXEC)
with tempfile.TemporaryDirectory() as d:
    os.open(d, os.O_DIRECTORY)
for name in ("link", "other", "/tmp/socket"):
    os.unlink(name)
os.rmdir("directory")
