# SPDX-License-Identifier: MIT
"""traffic - what differential.py sends: random but valid requests, and an origin that is consistent.

The origin is a table of resources. Each has a version that now and then changes, validators that
change with it, and a Vary; what it answers is laid down before the request (Plan). Every content names its
version and the selecting fields it was made for, so that whose bytes a client got is never a guess.
Lifetimes and pauses are drawn from one small set, so that ages meet lifetimes at the very second.
"""

import email.utils
import urllib.parse
from dataclasses import dataclass, field

import model

SECONDS = (1, 2, 5, 10, 30, 60, 120, 1000)
PAUSES = (0,) * 24 + SECONDS + (1, 2, 2, 3, 4, 5, 5, 9, 10, 11, 29, 59, 61, 86400, 100000)
HOSTS = ("a.test", "b.test")
PATHS = 3
GENERATION = 300  # steps until all URLs are new ones
FLAVORS = (None, None, "mint", "rose", "Mint", "mint, rose")
LANGUAGES = (None, "en", "de", "en, de;q=0.5", "de, en;q=0.5")
ENCODINGS = (None, "gzip", "gzip, br", "identity")
VARYING = ((),) * 5 + (("X-Flavor",), ("Accept-Language",), ("Accept-Encoding",),
                       ("X-Flavor", "Accept-Language"))
STATUSES = (200,) * 30 + (203, 204, 300, 301, 302, 307, 308, 404, 404, 405, 410, 414, 501, 400,
                          403, 500, 503, 502)
REQUEST_CONTROL = ("no-cache", "max-age=0", "max-age={}", "min-fresh={}", "max-stale",
                   "max-stale={}", "no-store", "only-if-cached", "max-age={}, max-stale={}",
                   "min-fresh={}, only-if-cached", "no-transform", "max-stale, only-if-cached",
                   "stale-if-error={}", "MAX-AGE={}", "foo, max-age={}, bar=baz")
FRESHNESS = ("", "", "max-age={}", "max-age={}", "max-age={}", "s-maxage={}",
             "s-maxage={}, max-age={}",
             "max-age={}, max-age={}", 'max-age="{}"', "max-age=0", "max-age=x", "max-age",
             "Max-Age={}", "max-age=99999999999", "max-age=-1", "s-maxage=0, max-age={}")
FLAGS = ("no-cache", "no-store", "private", "public", "public", "public", "must-revalidate",
         "must-revalidate", "no-transform", "immutable", "foo=bar", "public",
         "proxy-revalidate", "must-understand, no-store", "no-transform", "immutable",
         "stale-while-revalidate={}", "stale-while-revalidate={}", "stale-if-error={}",
         "stale-if-error={}", 'no-cache="x-note"', 'private="x-note"', "foo=bar",
         'foo="max-age=5, no-store"')
SILENT = (("cache-control",), ("expires",), ("cache-control", "expires"), ("vary",), ("etag",),
          ("last-modified",))
UNSAFE_STATUSES = (200, 200, 201, 204, 303, 302, 400, 404, 500)


def date_text(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


@dataclass
class Resource:
    number: int = 0
    vary: tuple = ()
    tag: str = "strong"      # strong, weak, none
    modified: int = None
    dated: bool = False       # does it say when it was modified?


@dataclass
class Plan:
    """What the origin answers to whatever reaches it during one step."""
    status: int
    unsafe_status: int
    resource: Resource
    fields: dict = field(default_factory=dict)
    unsafe_fields: dict = field(default_factory=dict)
    note: str = ""
    closes: bool = False
    wrong_tag: bool = False       # a 304 for something that nobody has
    silent: tuple = ()            # fields that a 304 leaves out


class Traffic:
    def __init__(self, name):
        self.name = name
        self.resources = {}
        self.bodies = {None: b""}
        self.variants = {}
        self.known = {}          # url -> (entity tags, dates) that clients have seen

    # --- The client -------------------------------------------------------------------------------

    def elapse(self, rng):
        return rng.choice(PAUSES)

    def request(self, rng, now, number):
        host = HOSTS[0] if rng.random() < 0.8 else HOSTS[1]
        url = f"http://{host}/g{number // GENERATION}/{rng.randrange(PATHS)}"
        method = rng.choices(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"),
                             (82, 8, 3, 2, 2, 1, 1))[0]
        fields = {}
        for name, values in (("x-flavor", FLAVORS), ("accept-language", LANGUAGES),
                             ("accept-encoding", ENCODINGS)):
            value = rng.choice(values)
            if value is not None and rng.random() < 0.6:
                fields[name] = [value]
        if rng.random() < 0.3:
            fields["cache-control"] = [fill(rng, rng.choice(REQUEST_CONTROL))]
        if rng.random() < 0.05:
            fields["pragma"] = ["no-cache"]
        if rng.random() < 0.1:
            fields["authorization"] = ["Basic " + rng.choice(("YTph", "Yjpi"))]
        if rng.random() < 0.2:
            fields["cookie"] = ["session=" + str(rng.randrange(3))]
        if rng.random() < 0.2:
            self.add_condition(rng, url, fields, now)
        body = b"content" if method in ("POST", "PUT", "PATCH") else b""
        if method == "GET" and rng.random() < 0.02:
            body = b"content"
        return model.Message(fields, method=method, url=url, has_body=bool(body)), body

    def add_condition(self, rng, url, fields, now):
        tags, dates = self.known.get(url, ([], []))
        kind = rng.random()
        if kind < 0.65:
            tag = rng.choice(tags[-3:]) if tags else '"unknown"'
            fields["if-none-match"] = [rng.choice((tag, tag, tag, f'"other", {tag}', '"other"', "*",
                                                   "W/" + model.opaque(tag)))]
        if kind > 0.55:
            date = rng.choice(dates[-3:]) if dates else date_text(now - 100)
            fields["if-modified-since"] = [rng.choice((date, date, date_text(now), "yesterday",
                                                       date_text(now - 100000)))]

    def seen(self, url, answer):
        tags, dates = self.known.setdefault(url, ([], []))
        tags.extend(model.tags_of(answer.get("etag")))
        if answer.has("last-modified"):
            dates.append(answer.get("last-modified"))

    # --- The origin -------------------------------------------------------------------------------

    def plan(self, rng, url, now):
        resource = self.resources.get(url)
        if resource is None:
            resource = self.resources[url] = Resource(vary=rng.choice(VARYING))
            self.change(rng, resource, now)
        elif rng.random() < 0.25:
            self.change(rng, resource, now)
        plan = Plan(rng.choice(STATUSES), rng.choice(UNSAFE_STATUSES), resource)
        plan.note = f"{self.name}/{rng.randrange(1 << 32)}"
        plan.closes = rng.random() < 0.04
        plan.wrong_tag = rng.random() < 0.03
        if rng.random() < 0.3:
            plan.silent = rng.choice(SILENT)
        self.draw_fields(rng, plan, now)
        self.draw_unsafe(rng, plan, url)
        return plan

    def change(self, rng, resource, now):
        resource.number += 1
        if resource.number > 1 and rng.random() < 0.04:
            resource.vary = rng.choice(VARYING)
        resource.tag = rng.choices(("strong", "weak", "none"), (5, 2, 3))[0]
        before = resource.modified
        if rng.random() < 0.3 or before is not None and before >= now:
            # no date: two versions of one second would share it
            resource.modified = None if before is None else before
            resource.dated = False
        else:
            first = now - 40 * 86400 if before is None else before + 1
            resource.modified = max(first, now - rng.choice((0, 10, 50, 100, 1000, 100000,
                                                             40 * 86400)))
            resource.dated = True

    def draw_fields(self, rng, plan, now):
        control = [fill(rng, rng.choice(FRESHNESS))]
        while rng.random() < 0.35:
            control.append(fill(rng, rng.choice(FLAGS)))
        control = [item for item in control if item]
        rng.shuffle(control)
        fields = plan.fields
        if control:
            if len(control) > 1 and rng.random() < 0.15:
                fields["cache-control"] = control            # on lines of their own
            else:
                fields["cache-control"] = [rng.choice((", ", ",", " , ", ", ,")).join(control)]
        date = now + rng.choices((0, -2, -30, 100), (85, 5, 5, 3))[0]
        if rng.random() < 0.95:
            fields["date"] = [date_text(date)]
        if rng.random() < 0.2:
            fields["expires"] = [rng.choice((date_text(date + rng.choice(SECONDS)),
                                             date_text(date + rng.choice(SECONDS)),
                                             date_text(date - 10), date_text(date), "0", "soon"))]
        if rng.random() < 0.1:
            fields["age"] = [rng.choice(("0", "1", "5", "30", "100", "x", "-1", "7, 3"))]
        if rng.random() < 0.04:
            fields["set-cookie"] = ["session=1"]
        if rng.random() < 0.01:
            fields["vary"] = ["*"]

    def draw_unsafe(self, rng, plan, url):
        other = rng.choice(list(self.resources))
        if rng.random() < 0.3:
            path = urllib.parse.urlsplit(other).path
            name = rng.choice(("location", "content-location"))
            plan.unsafe_fields[name] = [rng.choice((other, path))]
        if rng.random() < 0.3:
            plan.unsafe_fields["cache-control"] = ["max-age=60"]

    def respond(self, plan, request, now):
        """(response or None, version, content) to one request that reached the origin."""
        if plan.closes:
            return None, "", b""
        if request.method not in ("GET", "HEAD") or request.has_body:
            return self.respond_unsafe(plan, request, now)
        resource = plan.resource
        varied = {name.lower(): model.normal(name.lower(), request.get(name.lower()))
                  for name in resource.vary}
        host, path = urllib.parse.urlsplit(request.url)[1:3]
        label = "_".join(str(sorted(v) if isinstance(v, frozenset) else v).replace(" ", "")
                         for v in varied.values())
        status = plan.status
        version = f"{host[0]}{path}#{resource.number}.{status}[{label}]"
        if status != 200:  # each is an event of its own
            version += "~" + plan.note.rsplit("/", 1)[1]
        fields = {**plan.fields, "x-note": [plan.note], "content-type": ["text/plain"]}
        if resource.vary and "vary" not in fields:
            fields["vary"] = [", ".join(resource.vary)]
        self.add_validators(resource, version, fields, status)
        response = model.Message(fields, status=status)
        if status == 200 and self.is_unmodified(request, response):
            return self.not_modified(plan, fields), "", b""
        fields["x-version"] = [version]
        body = b"" if status == 204 else (version + "\n").encode() * (1 + resource.number % 4)
        self.bodies[version] = body
        self.variants[version] = varied
        return response, version, body

    def respond_unsafe(self, plan, request, now):
        version = f"{request.method}:{plan.note}"
        fields = {**plan.unsafe_fields, "x-version": [version], "date": [date_text(now)]}
        self.bodies[version] = body = b"" if plan.unsafe_status == 204 else b"done\n"
        return model.Message(fields, status=plan.unsafe_status), version, body

    def add_validators(self, resource, version, fields, status):
        if status != 200:
            return
        if resource.tag != "none":
            weak = "W/" if resource.tag == "weak" else ""
            fields["etag"] = [f'{weak}"{version}"']
        if resource.dated:
            fields["last-modified"] = [date_text(resource.modified)]

    def is_unmodified(self, request, response):
        if not (request.has("if-none-match") or response.has("last-modified")):
            return False
        return model.condition(request, response, 0) == "304"

    def not_modified(self, plan, fields):
        kept = {k: v for k, v in fields.items() if k not in ("content-type", *plan.silent)}
        if plan.wrong_tag and "etag" in kept:
            kept["etag"] = ['"nobody has this"']
        return model.Message(kept, status=304)

    # --- For the judge ----------------------------------------------------------------------------

    def resolve(self, base, reference):
        """The URL that Location means, if it is of the same origin (RFC 9111 4.4); else ""."""
        if not reference:
            return ""
        url = urllib.parse.urljoin(base, reference)
        same = urllib.parse.urlsplit(url)[:2] == urllib.parse.urlsplit(base)[:2]
        return url if same else ""

    def is_for(self, version, request):
        return all(model.normal(name, request.get(name)) == value
                   for name, value in self.variants.get(version, {}).items())


def fill(rng, text):
    while "{}" in text:
        text = text.replace("{}", str(rng.choice(SECONDS)), 1)
    return text
