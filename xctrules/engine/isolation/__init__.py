"""Others' plugins in processes of their own.

In: the files of plugins that nobody here vouches for. Out: objects that look like what these plugins provide,
and whose methods run over there.

    limits      time and memory, and what else a process takes on itself before it imports a plugin
    wire        values as bytes and back: data alone, never code
    stand_ins   an object of a plugin's own class, and what stands for it on this side
    shared      volumes that two processes look at
    shown       the slices of a scan, laid out once for all processes
    process     one process: started, asked, timed, ended, killed
    host        what is asked of a process, and the objects that it holds
    hosts       which plugins share a process; a plugin in one
    serving     the other side: imports the plugins and does what it is asked

A plugin can end its process, fill it, keep it for ever, change its folder or rewrite any module in it: what
it spoils is its own. This is a fence against faults, not against malice: a plugin is a program that its user
has installed, and may do with files what its user may.
"""
