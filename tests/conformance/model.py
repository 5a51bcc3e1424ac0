# SPDX-License-Identifier: MIT
"""model - a shared HTTP cache as RFC 9111 describes it, written from its text and nothing else.

It answers one question: what may a cache that has seen these exchanges do with this request?
What the RFC leaves to the cache is not guessed: either it is a choice that brim documents, then it
is a field of Policy, or it is open, then the answer says that both are right and the model learns
from what happened (an entry that may or may not be stored is not `certain`).

Time is whole seconds and stands still during an exchange, so that response_delay (4.2.3) is 0 and
every age is exact. The model knows no sockets; differential.py asks it and does the comparing.
"""

import calendar
import math
import re
import time
from dataclasses import dataclass, field, replace

# RFC 9110 15.1: heuristically cacheable; 206 is left out, it is never stored here.
HEURISTIC = frozenset((200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "SEARCH", "REPORT"))
FAILURES = frozenset((500, 502, 503, 504))  # RFC 5861 4
FOREVER = 1 << 31
# RFC 9111 3.2: what a 304 does not change in what is stored.
NOT_UPDATED = frozenset(("content-length", "content-encoding", "content-type", "content-range",
                         "connection", "transfer-encoding", "keep-alive", "te", "trailer",
                         "upgrade", "proxy-connection"))
DIRECTIVE = r'([^\s,="]+)(\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,"]*)))?'


@dataclass(frozen=True)
class Policy:
    """What brim chooses where RFC 9111 lets a cache choose; README says it to its users."""
    heuristic_share: float = 0.1
    heuristic_max_s: int = 86400
    negative_ttl_s: int = 10
    negative: frozenset = frozenset((404, 405, 410, 414, 501))
    set_cookie_needs: tuple = ("public", "s-maxage")
    pass_ttl_s: int = 120
    # Known faults, each to become False with its repair; the model then holds brim to the sentence.
    notes_pass_after_any_304: bool = True  # also where the request alone forbids storing
    keeps_date_after_304: bool = False     # a 304 without Date leaves the old one (RFC 9110 6.6.1)
    note_hides_from_invalidation: bool = True  # what stands behind a pass note stays as it is (4.4)
    keeps_old_behind_note: bool = False    # a 304 that may not be stored changes nothing (3.2)
    repeats_age: bool = True               # of an error that waiters share (RFC 9111 5.1)


@dataclass
class Message:
    """Fields by lower-case name, each a list of field lines."""
    fields: dict
    status: int = 200
    method: str = "GET"
    url: str = ""
    has_body: bool = False

    def get(self, name):
        lines = self.fields.get(name)
        return ", ".join(lines) if lines else None

    def has(self, name):
        return name in self.fields

    def directives(self):
        return parse_directives(self.get("cache-control") or "")


def parse_directives(text):
    """{name: [argument or None, ...]} in the field's order; quoted arguments without quotes."""
    found = {}
    for name, equals, quoted, token in re.findall(DIRECTIVE, text):
        found.setdefault(name.lower(), []).append((quoted or token) if equals else None)
    return found


def is_unqualified(control, name):
    """Whether no-cache or private stands for the whole response, and not for listed fields."""
    return None in control.get(name, [])


def kept_back(response):
    """The fields that only he gets who asked (5.2.2.4, 5.2.2.7)."""
    control = response.directives()
    return {name.strip().lower() for directive in ("no-cache", "private")
            for argument in control.get(directive, []) if argument is not None
            for name in argument.split(",")}


def parse_date(text):
    """Seconds of an IMF-fixdate; None for anything else (RFC 9111 4.2: invalid is in the past)."""
    try:
        return calendar.timegm(time.strptime(text or "", "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return None


def delta_seconds(text):
    if text is None or not re.fullmatch(r"[0-9]+", text):
        return None
    return min(int(text), FOREVER)


def seconds_of(directives, name):
    """(present, shortest, longest) of a directive with delta-seconds.

    RFC 9111 4.2.1: of several the first counts, or the response is stale; an invalid one: stale.
    """
    if name not in directives:
        return False, 0, 0
    values = [delta_seconds(argument) for argument in directives[name]]
    if len(values) == 1:
        return True, values[0] or 0, values[0] or 0
    return True, 0, max(value or 0 for value in values)


def tags_of(text):
    return re.findall(r'(?:W/)?"[^"]*"', text or "")


def opaque(tag):
    return tag[2:] if tag.startswith("W/") else tag


@dataclass
class Entry:
    """A stored response, and the request it answered as far as Vary looks at it."""
    response: Message
    version: str
    vary: tuple
    selecting: tuple
    received: int
    certain: bool = True    # is it really stored? False: both answers are right
    invalid: str = ""       # why it may not be used without validation (4.4), whatever its age
    exact: bool = True      # does the model know its fields and its age?
    wide: tuple = ()        # every name that this URL has varied by: brim may select by all of them
    wide_selecting: tuple = ()

    def initial_age(self):
        """RFC 9111 4.2.3, with a response_delay of 0."""
        date = parse_date(self.response.get("date"))
        apparent = max(0, self.received - date) if date is not None else 0
        first = (self.response.get("age") or "").split(",")[0].strip()
        return max(apparent, delta_seconds(first) or 0)  # 5.1: an invalid Age is ignored

    def age(self, now):
        return min(self.initial_age() + now - self.received, FOREVER)

    def tag(self):
        return (tags_of(self.response.get("etag")) or [None])[0]

    def is_validatable(self):
        return self.tag() is not None or parse_date(self.response.get("last-modified")) is not None


@dataclass
class Use:
    """One stored response that may answer."""
    entry: Entry
    must: bool              # forwarding instead would be wrong
    why: str
    stale: bool = False
    background: bool = False  # RFC 5861 3: revalidated while it is used


@dataclass
class Verdict:
    uses: list = field(default_factory=list)
    forward: bool = True
    unsatisfiable: bool = False  # 504 of only-if-cached
    why_forward: str = ""
    matching: list = field(default_factory=list)  # entries that a forwarded request validates


class Cache:
    def __init__(self, policy=Policy()):
        self.policy = policy
        self.entries = {}   # url -> [Entry], the newest last
        self.names = {}     # url -> every name that it has varied by
        self.passes = {}    # url -> until when brim remembers that an answer was not cacheable

    # --- 4.2 Freshness ----------------------------------------------------------------------------

    def lifetime(self, response, received):
        """(shortest, longest, is it explicit?) freshness lifetime that is right, in seconds."""
        control = response.directives()
        for name in ("s-maxage", "max-age"):
            present, low, high = seconds_of(control, name)
            if present:
                return low, high, True
        date = parse_date(response.get("date"))
        date = received if date is None else date
        if response.has("expires"):
            expires = parse_date(response.get("expires"))
            lasts = max(0, expires - date) if expires is not None else 0
            return lasts, lasts, True
        low, high = self.implicit_lifetime(response, control, date)
        return low, high, False

    def implicit_lifetime(self, response, control, date):
        """RFC 9111 4.2.2, and what brim does for errors."""
        if response.status not in HEURISTIC and "public" not in control:
            return 0, 0
        modified = parse_date(response.get("last-modified"))
        if modified is not None and modified < date:
            lasts = min((date - modified) * self.policy.heuristic_share,
                        self.policy.heuristic_max_s)
            return math.floor(lasts), math.ceil(lasts)
        if response.status in self.policy.negative:
            return self.policy.negative_ttl_s, self.policy.negative_ttl_s
        return 0, 0

    # --- 3 Storing --------------------------------------------------------------------------------

    def storable(self, request, response, received):
        """("no" | "may" | "yes", why)."""
        control = response.directives()
        forbidden = self.storing_forbidden(request, response, control)
        if forbidden:
            return "no", forbidden
        low, high, explicit = self.lifetime(response, received)
        if (high <= 0 and "s-maxage" in control and "public" not in control
                and (request.has("authorization") or response.has("set-cookie"))):
            return "may", "policy: s-maxage=0 is no permission"
        if not (explicit or "public" in control or response.status in HEURISTIC):
            return "no", "3: nothing in the response allows storing it"
        entry = Entry(response, "", (), (), received)
        if high <= 0 and not entry.is_validatable():
            said = any(name in control for name in ("stale-if-error", "stale-while-revalidate"))
            return ("may" if explicit or said else "no"), "policy: neither freshness nor validator"
        if kept_back(response):
            return "may", "5.2.2.7: a cache may take names for none"
        if "must-understand" in control or response.status >= 500 and response.status != 501:
            return "may", "5.2.2.3 must-understand, or an error that asks to be stored"
        if "no-cache" in control and not entry.is_validatable():
            return "may", "5.2.2.4: nothing to validate with"
        if low <= entry.initial_age() and not entry.is_validatable():
            return "may", "4: stale on arrival, nothing to validate with"
        return "yes", "3"

    def storing_forbidden(self, request, response, control):
        asked = request.directives()
        if request.method != "GET" or request.has_body:
            return "3: method " + request.method
        if "no-store" in asked:
            return "5.2.1.5: no-store in the request"
        if "no-store" in control and "must-understand" not in control:
            return "5.2.2.5: no-store"
        if is_unqualified(control, "private"):
            return "5.2.2.7: private"
        if response.status in (206, 304) or response.status < 200:
            return "3: status that is not stored"
        if "*" in [name.strip() for name in (response.get("vary") or "").split(",")]:
            return "4.1: Vary: *"
        if request.has("authorization") and not any(
                name in control for name in ("public", "s-maxage", "must-revalidate")):
            return "3.5: Authorization"
        if response.has("set-cookie") and not any(
                name in control for name in self.policy.set_cookie_needs):
            return "policy: Set-Cookie"
        return ""

    def put(self, request, response, version, now):
        """Takes a full response to `request` into account; returns (storable, why)."""
        storable, why = self.storable(request, response, now)
        known = self.entries.setdefault(request.url, [])
        if request.method not in ("GET", "HEAD"):
            return storable, why
        if storable != "yes" and response.status < 400:
            self.note_pass(request, now)
        elif storable == "yes" and now <= self.passes.get(request.url, -1):
            storable, why = "may", "policy: hit-for-miss"
        if storable == "no":
            for entry in self.select(request):  # it may stay or go
                entry.certain = False
            return storable, why
        self.displace(request, self.entry_of(request, response, version, now),
                      is_certain=storable == "yes" and response.status not in FAILURES)
        return storable, why

    def entry_of(self, request, response, version, now):
        vary = vary_of(response)
        names = self.names.setdefault(request.url, set())
        if not names.issuperset(vary):
            names.update(vary)
            for entry in self.entries[request.url]:
                entry.certain = False
        wide = tuple(sorted(names))
        return Entry(response, version, vary, selecting(request, vary), now, wide=wide,
                     wide_selecting=selecting(request, wide))

    def displace(self, request, fresh, is_certain):
        """4.1: the newest of those that match counts; what it may have displaced is not certain."""
        fresh.certain = is_certain
        kept = []
        for entry in self.entries[request.url]:
            same = entry.vary == fresh.vary and entry.selecting == fresh.selecting
            if same and is_certain and entry.wide_selecting == fresh.wide_selecting:
                continue
            if same or entry.vary != fresh.vary:
                entry.certain = False
            if entry.version == fresh.version:  # which of them answers cannot be told
                entry.exact = fresh.exact = False
            kept.append(entry)
        self.entries[request.url] = [*kept, fresh]

    def note_pass(self, request, now):
        """brim's note stands in the place of what is stored under the URL, until it expires."""
        self.passes[request.url] = now + self.policy.pass_ttl_s
        for entry in self.entries.get(request.url, []):
            entry.certain = False

    # --- 4.1 Vary ---------------------------------------------------------------------------------

    def select(self, request):
        """The stored responses that match the request, the newest first."""
        return [entry for entry in reversed(self.entries.get(request.url, []))
                if matches(entry, request)]

    def is_sure(self, entry, request):
        """Whether brim has it, and finds it."""
        return entry.certain and selecting(request, entry.wide) == entry.wide_selecting

    # --- 4 Constructing responses from caches -----------------------------------------------------

    def ask(self, request, now):
        verdict = Verdict()
        if request.method not in ("GET", "HEAD") or request.has_body:
            verdict.why_forward = "4: method, or content, that no stored response answers"
            if request.method in ("GET", "HEAD") and "only-if-cached" in request.directives():
                verdict.unsatisfiable, verdict.forward = True, False
            return verdict
        asked = request.directives()
        verdict.matching = self.select(request)
        for entry in verdict.matching:
            use = self.use(request, asked, entry, now)
            if isinstance(use, str):
                verdict.why_forward = verdict.why_forward or use
                use = None
            if use:
                verdict.uses.append(use)
                verdict.forward = verdict.forward and not use.must
            if self.is_sure(entry, request):
                break  # 4: 'a cache MUST use the most recent one'
        if not verdict.matching:
            verdict.why_forward = "4: no stored response matches"
        if "only-if-cached" in asked:
            verdict.unsatisfiable = verdict.forward
            verdict.forward = False
        return verdict

    def use(self, request, asked, entry, now):
        """A Use, or the sentence that forbids it."""
        control = entry.response.directives()
        if entry.invalid:
            return "4.4: " + entry.invalid
        if is_unqualified(control, "no-cache"):
            return "5.2.2.4: no-cache in the response"
        if "no-cache" in asked:
            return "5.2.1.4: no-cache in the request"
        if (not request.has("cache-control")
                and "no-cache" in parse_directives(request.get("pragma") or "")):
            return "5.4: Pragma"
        low, high, _ = self.lifetime(entry.response, entry.received)
        if not entry.exact:
            low, high = 0, FOREVER
        age = entry.age(now)
        wanted = self.wanted(asked, age, low, high)
        sure = self.is_sure(entry, request) and entry.exact and "no-store" not in asked \
            and not kept_back(entry.response)
        if age < high:
            must = sure and age < low and not wanted
            if wanted and "max-stale" not in asked:
                return wanted
            return Use(entry, must, "4.2: it is fresh", stale=age >= low)
        return self.use_stale(asked, control, entry, (age - high, age - low), wanted, sure)

    def wanted(self, asked, age, low, high):
        """What of the client's max-age and min-fresh is against this age; "" if nothing is."""
        present, shortest, _ = seconds_of(asked, "max-age")
        if present and (age > shortest or shortest == 0):  # 0 is what a browser's reload sends
            return "5.2.1.1: max-age in the request"
        present, shortest, _ = seconds_of(asked, "min-fresh")
        if present and high - age < shortest:
            return "5.2.1.3: min-fresh in the request"
        return ""

    def use_stale(self, asked, control, entry, staleness, wanted, sure):
        """`staleness`: the least and the most that can be said for it."""
        forbidding = forbids_stale(control)
        if forbidding:
            return forbidding + " and it is stale"
        least, most = staleness
        present, sure_window, window = seconds_of(control, "stale-while-revalidate")
        if present and least <= window and ("max-stale" in asked or not wanted):
            # a client that limits age or freshness does not ask for stale content
            limited = "max-age" in asked or "min-fresh" in asked
            return Use(entry, sure and most < sure_window and not limited,
                       "RFC 5861 3: stale-while-revalidate", stale=True, background=True)
        if "max-stale" in asked:
            allowed = asked["max-stale"][0]
            limit = FOREVER if allowed is None else delta_seconds(allowed)
            if limit is not None and least <= limit:
                return Use(entry, sure and not wanted and most < limit,
                           "5.2.1.2: max-stale in the request", stale=True)
        return wanted or "4.2.4: it is stale"

    # --- 4.2.4, RFC 5861 4: the origin fails ------------------------------------------------------

    def on_failure(self, request, now, connected):
        """The uses that are right when validation got no answer, or one of FAILURES."""
        uses = []
        asked = request.directives()
        for entry in self.select(request):
            control = entry.response.directives()
            if entry.invalid or forbids_stale(control):
                low, _, _ = self.lifetime(entry.response, entry.received)
                may_be_fresh = not entry.invalid and not is_unqualified(control, "no-cache")
                if may_be_fresh and entry.age(now) < low:
                    uses.append(Use(entry, False, "4.2: fresh, though the client asked further"))
                if self.is_sure(entry, request):
                    break
                continue
            low, _, _ = self.lifetime(entry.response, entry.received)
            staleness = max(0, entry.age(now) - low)
            present, sure_window, window = seconds_of(control, "stale-if-error")
            wished = bool(asked) or request.has("pragma")
            inside = present and staleness < sure_window
            asked_for = seconds_of(asked, "stale-if-error")
            on_edge = present and staleness <= window or asked_for[0] and staleness <= asked_for[2]
            if inside or on_edge or not connected or "max-stale" in asked or staleness == 0:
                sure = self.is_sure(entry, request) and entry.exact and not wished
                uses.append(Use(entry, inside and sure, "RFC 5861 4: stale-if-error" if inside else "4.2.4: the origin is not reachable", stale=True))
            if self.is_sure(entry, request):
                break
        return uses

    # --- 4.3.4 Freshening -------------------------------------------------------------------------

    def validated_by(self, request, response):
        """The stored response that a 304 selects for update, or None."""
        matching = self.select(request)
        tag = (tags_of(response.get("etag")) or [None])[0]
        if tag and not tag.startswith("W/"):
            return next((e for e in matching if e.tag() == tag), None)
        if tag:
            return next((e for e in matching if e.tag() and opaque(e.tag()) == opaque(tag)), None)
        modified = response.get("last-modified")
        if modified:
            same = [e for e in matching if e.response.get("last-modified") == modified]
            return same[0] if same else None
        tags, since = tags_of(request.get("if-none-match")), request.get("if-modified-since")
        asked_by = [e for e in matching
                    if e.tag() in tags or since and since == e.response.get("last-modified")]
        return (asked_by or matching or [None])[0]

    def freshen(self, request, entry, response, now):
        """RFC 9111 3.2, and what the new fields mean for keeping it."""
        before = replace(entry, certain=False)
        was_certain = entry.certain
        merged = {k: v for k, v in entry.response.fields.items() if k != "age"}
        merged.update((k, v) for k, v in response.fields.items() if k not in NOT_UPDATED)
        undated = "date" not in response.fields
        if undated:
            merged.pop("date", None)
        entry.response = Message(merged, status=entry.response.status)
        entry.received = now
        entry.invalid = ""
        # Where it is open what was stored, so is what the update made of it.
        entry.exact = (entry.exact and was_certain
                       and not (undated and self.policy.keeps_date_after_304))
        entry.certain = True
        judged = Message(request.fields, url=request.url)  # a GET, even if HEAD validated it
        if self.storable(judged, entry.response, now)[0] != "yes":
            entry.certain = entry.exact = False  # what is stored may stay as it was, or go
            if self.policy.keeps_old_behind_note:
                self.entries[request.url].insert(0, before)
            if self.policy.notes_pass_after_any_304:
                self.note_pass(request, now)

    # --- 4.4 Invalidation -------------------------------------------------------------------------

    def invalidate(self, request, response, urls):
        """An unsafe request was answered without error: its target and `urls` are asked again."""
        if request.method in SAFE or not 200 <= response.status < 400:
            return
        for url in (request.url, *urls):
            hidden = self.policy.note_hides_from_invalidation and url in self.passes
            for entry in self.entries.get(url, []):
                if hidden and not entry.certain:
                    continue
                entry.invalid = f"{request.method} {request.url} was answered {response.status}"


def forbids_stale(control):
    """4.2.4: the sentence that forbids stale use, or ""."""
    for name, section in (("no-cache", "5.2.2.4"), ("must-revalidate", "5.2.2.2"),
                          ("proxy-revalidate", "5.2.2.8"), ("s-maxage", "5.2.2.10")):
        if is_unqualified(control, name) or name != "no-cache" and name in control:
            return f"{section}: {name}"
    return ""


def vary_of(response):
    names = (response.get("vary") or "").lower().split(",")
    return tuple(sorted({name.strip() for name in names if name.strip()}))


def normal(name, value):
    """What two values of a selecting field are compared by: blanks and order that mean nothing."""
    if name == "accept-encoding":
        # brim asks origins for the same codings whoever asks, and makes and decodes them itself: an
        # answer was selected by what brim said, never by what a client did
        return "gzip"
    if value is None:
        return None
    items = [re.sub(r"\s", "", item).lower() for item in value.split(",")]
    return ",".join(items) if name == "accept-language" else value.strip()


def selecting(request, vary):
    return tuple(normal(name, request.get(name)) for name in vary)


def matches(entry, request):
    return selecting(request, entry.vary) == entry.selecting


def condition(request, response, received):
    """What the client's condition makes of this response: "304", "full", "either" (4.3.2)."""
    if not 200 <= response.status < 300:
        return "full"
    wants = request.get("if-none-match")
    if wants is not None:
        own = (tags_of(response.get("etag")) or [None])[0]
        hit = wants.strip() == "*" or own and opaque(own) in [opaque(t) for t in tags_of(wants)]
    else:
        since = parse_date(request.get("if-modified-since"))
        if since is None:
            return "full"
        modified = parse_date(response.get("last-modified"))
        if modified is None:
            modified = parse_date(response.get("date"))
            modified = received if modified is None else modified
            return "either" if modified <= since else "full"
        hit = modified <= since
    if not hit:
        return "full"
    return "304" if response.status == 200 else "either"
