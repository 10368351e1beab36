"""Trials as files: a folder through which an engine and workers on other machines work, also when it is carried.

`folder` is where what lies and how it is moved, `messages` what is written in it, `conditions` whose outcomes can be
compared, `attendance` who is at work, `worker` the other end, `archive` the folder as one file. The engine's end is
`evolve.executors.spool`. Nothing here imports what a search needs.
"""
