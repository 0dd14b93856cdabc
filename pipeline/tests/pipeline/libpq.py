"""What libpq makes of connection strings.

Takes: one JSON string per line. Gives: one JSON object per line with what libpq understood, or null where it refuses.
"""
import json
import sys

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

for line in sys.stdin:
    try:
        understood = parse_dsn(json.loads(line))
    except (ProgrammingError, UnicodeError):
        understood = None
    print(json.dumps(understood), flush=True)
