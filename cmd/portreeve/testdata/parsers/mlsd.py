# Prints what Python's ftplib makes of MLSD: kind, size, time in seconds and name
# of each entry. Arguments: port, user, password, folder.
import calendar, ftplib, sys, time

port, user, password, folder = sys.argv[1:]
with ftplib.FTP() as ftp:
    ftp.connect("127.0.0.1", int(port))
    ftp.login(user, password)
    kinds = {"file": "f", "dir": "d"}
    for name, facts in ftp.mlsd(folder):
        if facts["type"] not in ("cdir", "pdir"):
            when = calendar.timegm(time.strptime(facts["modify"], "%Y%m%d%H%M%S"))
            print(kinds.get(facts["type"], "l"), facts.get("size", 0), when, name, sep="\t")
