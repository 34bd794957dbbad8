"""Secrets in a line: tokens, keys, passwords. What is masked, hashed, a reference or a mere word is none."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping

from quub_audit.connectors.log_text import Hit, decoded, each, is_masked, value_after, words_in, words_of
from quub_audit.facts.seal import entropy_bits, is_ordinary

_ASSIGNED = r"[\"'\]`]{0,2}\s{0,3}(?:=>|[:=])\s{0,3}"

# JSON Web Tokens

JWT = re.compile(
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4096}\.(?P<middle>[A-Za-z0-9_-]{0,65536})\.(?P<last>[A-Za-z0-9_-]{0,8192})"
    r"(?:\.[A-Za-z0-9_-]{1,65536}\.[A-Za-z0-9_-]{1,512})?"
)


def web_tokens(text: str) -> Iterator[Hit]:
    """JSON Web Tokens: the header is JSON with `alg`, and the signature stands there, or the header says `none`."""
    for match in each(JWT, text):
        algorithm = _algorithm(match[0].partition(".")[0])
        is_whole = len(match["last"]) >= 16 or algorithm.lower() == "none"
        if algorithm and is_whole and len(match["middle"]) >= 2:
            yield Hit(kind="JSON Web Token", value=match[0], detail="header with an algorithm, payload and signature")


def _algorithm(header: str) -> str:
    try:
        document = json.loads(decoded(header))
    except (ValueError, RecursionError):
        return ""
    told = document.get("alg") if isinstance(document, dict) else None
    return told if isinstance(told, str) else ""


# Bearer tokens and sessions

_BEARER = re.compile(r"(?i)(?<![a-z])bearer[\"']?[\s:=+]{1,3}[\"']?(?P<value>[A-Za-z0-9._~+/-]{12,4096}={0,2})")
_AUTHORIZATION = re.compile(
    r"(?i)authorization" + _ASSIGNED + r"[\"'\[]{0,2}(?P<scheme>basic|token|apikey|digest|aws4-hmac-sha256)\s{1,3}"
    r"(?P<value>[A-Za-z0-9._~+/=-]{6,4096})"
)
_TOKEN = re.compile(r"(?i)(?P<name>[a-z0-9_-]{0,24})token" + _ASSIGNED)
_COOKIE = re.compile(
    r"(?i)(?<![a-z])(?:jsessionid|phpsessid|asp\.net_sessionid|connect\.sid|sessionid|session|laravel_session"
    r"|__(?:secure|host)-[a-z0-9_.-]{1,40}|_[a-z0-9]{1,24}_session)=(?P<value>[^\s;,\"']{16,1024})"
)
_SIGNED_URL = re.compile(
    r"(?i)[?&](?:x-amz-signature|x-goog-signature|sig|signature)=(?P<value>[A-Za-z0-9%+/=_-]{32,1024})"
)
_NOT_CREDENTIALS = words_in(
    """
    next page continuation pagination cancel cancellation sync request trace idempotency client cursor previous prev
    marker start resume scroll unexpected invalid expected syntax stop end max min total prompt completion count
    change delta nextforward nextbackward sequence
    """
)


def bearer_tokens(text: str, lowered: str) -> Iterator[Hit]:
    """Tokens of the Authorization header, tokens by their names, session cookies."""
    if "bearer" in lowered:
        for match in each(_BEARER, text):
            if _is_opaque(match["value"]):
                yield Hit(kind="bearer token", value=match["value"], detail="after the word Bearer")
    if "authorization" in lowered:
        for match in each(_AUTHORIZATION, text):
            yield from _of_scheme(match["scheme"].lower(), match["value"])
    if "token" in lowered:
        for match in each(_TOKEN, text):
            value, _ = value_after(text, match.end())
            if not words_of(match["name"]) & _NOT_CREDENTIALS and _is_opaque(value):
                yield Hit(kind="bearer token", value=value, detail="named as a token")
    if "sess" in lowered or ".sid=" in lowered or "__host-" in lowered or "__secure-" in lowered:
        for match in each(_COOKIE, text):
            is_cookie = "cookie" in lowered or match[0][:1] == "_" or "session=" not in match[0][:16].lower()
            if is_cookie and _is_opaque(match["value"]):
                yield Hit(kind="bearer token", value=match["value"], detail="session cookie")


def signed_urls(text: str) -> Iterator[Hit]:
    """Signatures of pre-signed URLs, which let anybody in who has them."""
    for match in each(_SIGNED_URL, text):
        if not is_masked(match["value"]):
            yield Hit(kind="bearer token", value=match["value"], detail="signature of a URL")


def _of_scheme(scheme: str, value: str) -> Iterator[Hit]:
    if scheme == "basic":
        user, colon, password = decoded(value).partition(":")
        if colon and password and user.isprintable() and not is_masked(password):
            yield Hit(kind="password", value=value, detail="HTTP basic authentication")
    elif scheme in ("token", "apikey") and _is_opaque(value):
        yield Hit(kind="bearer token", value=value, detail="in an Authorization header")


_OF_CODE = frozenset("()[]{}|*$!?`\\")
"""What stands in expressions and patterns, and in no token."""


def _is_opaque(value: str) -> bool:
    """Whether it looks drawn at random; a JSON Web Token does not, as it is a kind of its own."""
    value = value.rstrip(".,:)")
    if len(value) < 12 or value.startswith(("eyJ", "/")) or is_masked(value) or "://" in value:
        return False
    if set(value) & _OF_CODE or " " in value:
        return False
    has_digit = any(c.isdigit() for c in value)
    has_letter = any(c.isalpha() for c in value)
    has_both_cases = any(c.islower() for c in value) and any(c.isupper() for c in value)
    if not has_letter or not (has_digit or (has_both_cases and len(value) >= 24 and "." not in value)):
        return False
    return entropy_bits(value) >= 2.8 and not (is_ordinary(value) and not _looks_drawn(value)) and not _is_hash(value)


def _looks_drawn(value: str) -> bool:
    """Letters and digits change places more often than in words with numbers."""
    kinds = ["d" if c.isdigit() else "l" for c in value if c.isalnum()]
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    return len(kinds) >= 16 and changes >= len(kinds) / 6


def _is_hash(value: str) -> bool:
    return re.match(r"(?i)(?:sha\d{1,3}|md5|hmac|crc32|blake2\w?)[:=-]|\{s?sha", value) is not None


# API keys

KEYS: Mapping[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    name: (starts, re.compile(rf"(?<![A-Za-z0-9_-])(?:{form})(?![A-Za-z0-9_-])"))
    for name, starts, form in (
        ("AWS access key id", ("AKIA", "ASIA"), r"A[KS]IA[A-Z0-9]{16}"),
        ("Quub API key", ("quub_",), r"quub_(?:live|test|prod|sandbox)_[A-Za-z0-9]{12,128}"),
        ("Stripe key", ("k_live_", "k_test_"), r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,247}"),
        ("Stripe webhook secret", ("whsec_",), r"whsec_[A-Za-z0-9+/=]{24,64}"),
        ("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{36,251}"),
        ("GitHub token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{36,244}"),
        ("GitLab token", ("glpat-",), r"glpat-[A-Za-z0-9_.-]{20,64}"),
        ("Slack token", ("xox", "xapp-"), r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,250}"),
        ("Google API key", ("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
        ("Google OAuth token", ("ya29.",), r"ya29\.[A-Za-z0-9_-]{20,512}"),
        ("SendGrid key", ("SG.",), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
        ("Anthropic or OpenAI key", ("sk-",), r"sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,200}"),
        ("npm token", ("npm_",), r"npm_[A-Za-z0-9]{36}"),
        ("PyPI token", ("pypi-AgE",), r"pypi-AgE[A-Za-z0-9_-]{50,512}"),
        ("DigitalOcean token", ("do",), r"do[opr]_v1_[a-f0-9]{64}"),
        ("Vault token", ("hvs.", "hvb."), r"hv[sb]\.[A-Za-z0-9_-]{20,300}"),
        ("Shopify token", ("shp",), r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
        ("Mailgun key", ("key-",), r"key-[0-9a-f]{32}"),
        ("Twilio key", ("SK",), r"SK[0-9a-f]{32}"),
        (
            "Slack webhook",
            ("hooks.slack.com/",),
            r"hooks\.slack\.com/services/T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}/\w{16,40}",
        ),
        ("Telegram bot token", (":AA",), r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    )
    for name in [f"{name} ({starts[0]})"]
}
"""Beginnings of which one must stand in the line, and the whole form, by maker and beginning."""
_NAMED_KEY = re.compile(
    r"(?i)(?:api[_-]?key|api[_-]?secret|client[_-]?secret|consumer[_-]?secret|(?:secret[_-]?)?access[_-]?key|secret[_-]?key"
    r"|app[_-]?secret|signing[_-]?(?:secret|key)|webhook[_-]?secret|encryption[_-]?key|subscription-key|account[_-]?key"
    r"|shared[_-]?secret|auth[_-]?key|shared[_-]?access[_-]?signature"
    r"|(?<![a-z:])secret)" + _ASSIGNED
)


def api_keys(text: str, lowered: str) -> Iterator[Hit]:
    """Keys by the beginnings that their makers give them, and by the names that lines give them."""
    for name, (starts, form) in KEYS.items():
        if any(start in text for start in starts):
            for match in each(form, text):
                if not is_masked(match[0]) and _is_drawn_after_prefix(match[0]):
                    yield Hit(kind="API key", value=match[0], detail=name.partition(" (")[0])
    if "key" in lowered or "secret" in lowered or "signature" in lowered:
        for match in each(_NAMED_KEY, text):
            value, _ = value_after(text, match.end())
            if _is_opaque(value):
                yield Hit(kind="API key", value=value, detail="named as a key")


def _is_drawn_after_prefix(value: str) -> bool:
    """No row of one character (`ghp_xxxx…`), no words with dashes (`sk-fading-circle…`)."""
    body = re.split(r"[_.-]", value)[-1] if value[:2] != "SG" else value
    longest = max(re.split(r"[_.:-]", value), key=len)
    return len(set(body.lower()) | set(longest.lower())) >= 5 and len(longest) >= 10


# Private keys

_PRIVATE_KEY = re.compile(r"-----BEGIN (?P<type>[A-Z0-9 ]{0,24})PRIVATE KEY(?: BLOCK)?-----(?P<rest>[^\n]{0,64})")
_BODY = re.compile(r"[\s\"',+\\n]{0,8}[A-Za-z0-9+/=]{16,}|[\s\"',\\n]{0,8}(?:Proc-Type|Version|Comment):")


def private_keys(text: str) -> Iterator[Hit]:
    """The beginning of a private key in PEM: with its body behind it, or alone on a line that its body follows."""
    for match in each(_PRIVATE_KEY, text):
        after = text[match.end() - len(match["rest"]) : match.end() + 96]
        alone = text[: match.start()].rpartition("\n")[2].strip() == "" and match["rest"].strip() == ""
        if _BODY.match(after) or alone:
            yield Hit(kind="private key", value=match[0], detail=f"PEM {match['type']}private key".replace("  ", " "))


# Passwords

_PASSWORD = re.compile(
    r"(?i)(?:passwords?|passwd|pwd|passphrase|passcode|passwort|kennwort|contrase\u00f1a|contrasena|salasana"
    r"|mot[ _]de[ _]passe|wachtwoord|senha)(?:\d|[_-]?confirm(?:ation)?|[_-]?again|[_-]?repeat|confirm(?:ation)?)?"
    + _ASSIGNED
)
_OPTION = re.compile(r"(?i)(?<![\w-])--?(?:password|passwd|pwd|pass)\s{1,2}(?=[^\s-])")
_SAID = re.compile(r"(?i)\bpassword\s{1,2}(?:is|was)\s{1,2}(?=\S{6})")
_SHORT_NAME = re.compile(r"(?i)(?<![a-z])pass(?:[\"']\s{0,2}:|[\"']?\s{0,2}=)\s{0,2}")
_CURL_USER = re.compile(r"(?<!\S)(?:-u|--user)[ =][\"']?[^\s:\"']{1,64}:(?=[^\s\"'])")
_IDENTIFIED = re.compile(r"(?i)\bidentified\s{1,3}by\s{1,3}(?=')|\bpassword\s{1,3}(?=')")
_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{1,30})://(?P<user>[^\s:/?#@\"'<>]{0,128}):(?P<password>[^\s/?#\"'<>]{1,256})@"
)
_STATUS_WORDS = words_in(
    """
    true false yes no on off null none nil undefined empty unset missing required optional invalid incorrect wrong
    bad valid correct ok okay error failed failure expired changed reset updated set unchanged string text str char
    varchar boolean bool int object array number type hash hashed bcrypt argon2 present absent not must should is
    cannot can mismatch mismatched weak strong short long too field the a an your and or for to of in default never
    disabled enabled blank unknown n/a na password passwd pwd pass secret authentication auth keyboard-interactive
    publickey this new old current was has be been given provided supplied used does do did please enter via from by
    with prompt stdin file env user login username rejected denied accepted success verified expiring policy rules
    length minimum at contains bearer basic grant
    """
)

_EXPRESSION = re.compile(
    r"[A-Za-z_][\w.]{0,60}[(\[]|(?:self|this|config|cfg|os|process|args|opts|options|params|req|request|props|user|data"
    r"|body|form|credentials|settings|env)\.[A-Za-z_]|\w{0,60}(?i:password|passwd|pwd)(?:[,;)]|$)"
)
"""Code, as stack traces quote it (`password = config.password`), which shows no value."""
_SENTENCE_BEGINS = words_in(
    "must is cannot can should not has was too does do please enter the this a an invalid required field never may your"
)


def passwords(text: str, lowered: str) -> Iterator[Hit]:
    """Values of what is named a password, in assignments, options, statements and URLs."""
    if "pass" in lowered or "pwd" in lowered or any(word in lowered for word in _OTHER_TONGUES):
        for match in each(_PASSWORD, text):
            value, is_quoted = value_after(text, match.end())
            if text[max(0, match.start() - 2) : match.start()].lower() == "no":
                continue  # NOPASSWD of sudo
            is_prose = not is_quoted and match[0].rstrip("\"'`").endswith((" ", ":")) and "=" not in match[0][-4:]
            is_folder = match[0][:3].lower() == "pwd" and value[:1] in "/~"
            is_code = not is_quoted and _EXPRESSION.match(value) is not None
            if (
                not is_folder
                and not is_code
                and _is_password(value, is_prose=is_prose and text[match.end() - 1 : match.end()] == " ")
            ):
                yield Hit(kind="password", value=value, detail="named as a password")
        for pattern in (_OPTION, _IDENTIFIED):
            for match in each(pattern, text):
                value, _ = value_after(text, match.end())
                if _is_password(value, is_prose=True):
                    yield Hit(kind="password", value=value, detail="in a command or statement")
        for pattern in (_SAID, _SHORT_NAME):
            for match in each(pattern, text):
                value, _ = value_after(text, match.end())
                if _is_mixed(value) and _is_password(value, is_prose=True):
                    yield Hit(kind="password", value=value, detail="said to be a password")
    elif "identified" in lowered:
        for match in each(_IDENTIFIED, text):
            value, _ = value_after(text, match.end())
            if _is_password(value, is_prose=False):
                yield Hit(kind="password", value=value, detail="in a command or statement")
    if "curl" in lowered:
        for match in each(_CURL_USER, text):
            value, _ = value_after(text, match.end())
            if _is_password(value, is_prose=False):
                yield Hit(kind="password", value=value, detail="in a command or statement")
    if "://" in text and "@" in text:
        for match in each(_URL, text):
            password = match["password"].rpartition("@")[2] if match["password"].endswith("@") else match["password"]
            if (
                not is_masked(password)
                and not password.isspace()
                and password.lower() not in ("password", "pass", "pwd")
            ):
                yield Hit(kind="password", value=password, detail="in a URL")


def _is_mixed(value: str) -> bool:
    return len(value) >= 6 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


_OTHER_TONGUES = ("kennwort", "contrase", "salasana", "wachtwoord", "senha")
_HASH = re.compile(
    r"\$(?:2[abxy]?|5|6|y|argon2\w{0,2}|pbkdf2[\w-]{0,10}|scrypt)\$|(?i:pbkdf2|scrypt|bcrypt|argon2)[$:_]"
    r"|\{[A-Za-z0-9-]{3,12}\}|(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$|[0-9A-F]{64}$"
)


def _is_password(value: str, *, is_prose: bool) -> bool:
    """Whether a value may be somebody's password; in prose (`password: must be long`) mere words are none."""
    plain = value.rstrip(".,:;)!]}") if is_prose else value.rstrip(",;)}]")
    if not plain or is_masked(plain) or plain.lower().rstrip("!.?") in _STATUS_WORDS:
        return False
    if _HASH.match(plain) or _is_hash(plain):
        return False
    if is_prose:
        return any(c.isdigit() for c in plain) or any(not c.isalnum() for c in plain.strip("-_"))
    return not (" " in plain and plain.partition(" ")[0].lower() in _SENTENCE_BEGINS)
