"""The processes of this machine, and which of them a process has started."""

import subprocess


def descendants(pid: int) -> dict[int, str]:
    """Return the pids and commands of all descendants of a process."""
    parents, found = all_processes(), dict[int, str]()
    for one, (_, line) in parents.items():
        above = one
        while above in parents:
            above = parents[above][0]
            if above == pid:
                found[one] = line
                break
    return found


def all_processes() -> dict[int, tuple[int, str]]:
    """Return parent and command by pid, without zombies."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
    return {
        int(pid): (int(parent), args[0] if args else "")
        for pid, parent, stat, *args in rows
        if not stat.startswith("Z")
    }
