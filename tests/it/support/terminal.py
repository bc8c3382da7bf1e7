"""Runs a command on a terminal of its own, and types when it asks, or says how it ends:
COLUMNS TYPED COMMAND..."""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, typed, *command = sys.argv[1:]
process, terminal = pty.fork()
if process == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.execvp(command[0], command)
shown = b""
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # The command is at its end.
        break
    if not part:
        break
    shown += part
    if typed and (b"[y/N]" in shown or b"Ctrl-C ends it" in shown):
        os.write(terminal, typed.encode())
        typed = ""
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
