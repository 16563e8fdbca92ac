"""Writes due.csv: when data are due and whether they are overdue, minute by minute, with Python alone.

For each case all local minutes of the days around `now` are listed. A minute is due if the five fields of the
expression match it, as cron has it, and its day is not a day off. Its instant is found through zoneinfo: a
minute that exists twice is taken the first time (fold=0); one that does not exist is taken as the first
existing minute after it. From the sorted instants:

- last is the greatest one up to now, next the smallest one after now;
- judged is the greatest one up to now minus grace, before the one in front of it;
- an arrival counts from the later of the middle between before and judged and of before plus grace, but at
  judged at the latest; without it, or with an earlier one, the source is overdue;
- expected is the local day of before.

Usage: python3 make_due.py > due.csv
"""

import csv
import random
import sys
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc


def field(text, low, high):
    values = set()
    for part in text.split(","):
        step = 1
        if "/" in part:
            part, step = part.split("/")[0], int(part.split("/")[1])
        if part == "*":
            first, last = low, high
        elif "-" in part:
            first, last = map(int, part.split("-"))
        else:
            first = last = int(part)
        values.update(range(first, last + 1, step))
    return values


def matches(text, days):
    """All local minutes of `days` that match the expression."""
    minute, hour, dom, month, dow = text.split()
    minutes, hours = field(minute, 0, 59), field(hour, 0, 23)
    doms, months = field(dom, 1, 31), field(month, 1, 12)
    dows = {d % 7 for d in field(dow, 0, 7)}
    for day in days:
        in_dom, in_dow = day.day in doms, day.isoweekday() % 7 in dows
        if dom != "*" and dow != "*":
            right = in_dom or in_dow
        else:
            right = in_dom and in_dow
        if day.month in months and right:
            for h in sorted(hours):
                for m in sorted(minutes):
                    yield datetime(day.year, day.month, day.day, h, m)


def instant(local, zone):
    while True:
        at = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == local:
            return at
        local += timedelta(minutes=1)


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def case(rng, zone_name, text, off, grace, now, arrived):
    zone = ZoneInfo(zone_name)
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=n) for n in range(-100, 101)]
    days = [day for day in days if day not in off]
    instants = sorted({instant(local, zone) for local in matches(text, days)})
    last = max((at for at in instants if at <= now), default=None)
    after = min((at for at in instants if at > now), default=None)
    past = [at for at in instants if at + grace <= now]
    judged = past[-1] if past else None
    before = past[-2] if len(past) > 1 else None
    assert last and after and judged and before, (text, now)
    counts = min(judged, max(before + (judged - before) / 2, before + grace))
    overdue = arrived is None or arrived < counts
    expected = before.astimezone(zone).date()
    return [zone_name, text, " ".join(sorted(map(str, off))), int(grace.total_seconds()) // 60,
            stamp(now), stamp(arrived), stamp(last), stamp(after), stamp(judged), expected,
            "overdue" if overdue else "fine"]


def main():
    rng = random.Random(12)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["zone", "schedule", "off", "grace_minutes", "now", "arrived", "last", "next", "judged",
                  "expected", "standing"])
    zones = {
        "Europe/Berlin": [datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2027, 3, 28, 1)],
        "America/New_York": [datetime(2026, 3, 8, 7), datetime(2026, 11, 1, 6), datetime(2027, 3, 14, 7)],
    }
    schedules = ["0 6 * * 1-5", "30 2 * * *", "0 3 * * *", "15 1,2,3 * * *", "*/20 * * * *", "0 * * * *",
                 "45 2 * * 0", "0 0 1 * *", "0 12 15 * 5", "59 23 * * 0,3", "5 0-4/2 * * *", "0 2 28-31 * *"]
    for zone, changes in zones.items():
        for n in range(250):
            change = rng.choice(changes).replace(tzinfo=UTC)
            near = n % 5 < 3
            spread = 60 * 6 if near else 60 * 24 * 90
            now = change + timedelta(minutes=rng.randint(-spread, spread), seconds=rng.choice([0, 0, 1, 59]))
            grace = timedelta(minutes=rng.choice([0, 0, 15, 90, 360, 2000]))
            today = now.date()
            off = {today + timedelta(days=rng.randint(-9, 9)) for _ in range(rng.choice([0, 0, 2, 5]))}
            back = rng.choice([60, 60 * 12, 60 * 36, 60 * 24 * 8, 60 * 24 * 40])
            arrived = None if n % 20 == 0 else now - timedelta(minutes=rng.randint(0, back))
            out.writerow(case(rng, zone, rng.choice(schedules), off, grace, now, arrived))


main()
