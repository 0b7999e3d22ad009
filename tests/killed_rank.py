"""`coursekit rlhf` under torchrun, whose rank 1 is killed in its seventh update. The others wait for its gradients
then, or ("busy") are at work on their own.

    torchrun --nproc-per-node 2 tests/killed_rank.py waiting|busy --updates 9 ...
"""

import os
import signal
import sys
import time

from coursekit import checkpoints, cli

gold, calls = checkpoints.gold, []


def deadly_gold(complaints, replies):
    calls.append(1)
    if len(calls) == 7 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    if len(calls) == 7 and how == "busy":
        time.sleep(60)
    return gold(complaints, replies)


how, checkpoints.gold = sys.argv[1], deadly_gold
sys.exit(cli.main(["rlhf", *sys.argv[2:]]))
