"""The explorer: a table, its clusters and its labels in a browser, on the user's own machine.

`anabranch.explorer.project` holds what is explored and knows nothing of a browser; jobs run fits as
processes of their own; views draw; the guard lets one browser of this machine in, and nobody else.
"""

from anabranch.explorer.project import Project as Project
from anabranch.explorer.server import make_app as make_app
from anabranch.explorer.server import serve as serve
