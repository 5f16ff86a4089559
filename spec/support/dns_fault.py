"""A DNS server that misbehaves, for the specs of the resolver (UDP and TCP on one port).

usage: dns_fault.py ADDRESS PORT [BEHAVIOUR]

The first label of a name chooses the behaviour (the table BEHAVIOURS below says which there are), a number
behind a dash is its parameter: "slow-300.test" is answered after 300 ms. With the third argument
every name has that behaviour. Names without one have the address 127.0.0.2 (A) and ::2 (AAAA).

Every question is printed as "udp|tcp TYPE name id=N port=N edns=SIZE|- flags=HHHH". TXT of count.test tells
how many there were so far ("total=5" "udp=4" "tcp=1" "A=3" "AAAA=2"), TXT of NAME.count.test how
many for that name; TXT of reset.count.test begins anew. These are not counted themselves.
"""
import collections
import socket
import struct
import sys
import threading
import time

A, NS, CNAME, SOA, PTR, TXT, AAAA, OPT = 1, 2, 5, 6, 12, 16, 28, 41
TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", 15: "MX", TXT: "TXT",
         AAAA: "AAAA", 33: "SRV", 65: "HTTPS", 255: "ANY"}
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 1, 2, 3, 4, 5
IN = 1
TC, QR, AD = 0x0200, 0x8000, 0x0020
TTL = 5
MANY_UDP, MANY_TCP = 25, 400

address, port = sys.argv[1], int(sys.argv[2])
always = sys.argv[3] if len(sys.argv) > 3 else None
family = socket.AF_INET6 if ":" in address else socket.AF_INET
lock = threading.Lock()
counts = collections.defaultdict(collections.Counter)


def wire(name):
    """A name of labels (bytes) without compression."""
    return b"".join(bytes([len(label)]) + label for label in name) + b"\0"


def labels_of(text):
    return [label.encode() for label in text.split(".") if label]


class Question:
    def __init__(self, data, tcp):
        self.data, self.tcp, self.name = data, tcp, []
        self.id, self.flags = struct.unpack(">HH", data[:4])
        at = 12
        while data[at]:
            self.name.append(data[at + 1:at + 1 + data[at]])
            at += 1 + data[at]
        self.type, self.cls = struct.unpack(">HH", data[at + 1:at + 5])
        self.end = at + 5
        self.text = b".".join(self.name).decode("latin-1")
        self.edns = None
        rest = data[self.end:]
        if struct.unpack(">H", data[10:12])[0] and len(rest) >= 11 and rest[1:3] == b"\0\x29":
            self.edns = struct.unpack(">H", rest[3:5])[0]


def record(owner, rtype, rdata, ttl=TTL, cls=IN):
    return owner + struct.pack(">HHIH", rtype, cls, ttl, len(rdata)) + rdata


SELF = b"\xc0\x0c"


def address_record(q, owner=SELF, ttl=TTL, last=2):
    """The usual answer: an address of the family asked for, or nothing."""
    if q.type in (A, 255):
        return [record(owner, A, bytes([127, 0, 0, last]), ttl)]
    if q.type == AAAA:
        return [record(owner, AAAA, bytes(15) + bytes([last]), ttl)]
    return []


def soa(q, ttl):
    data = wire([b"ns", b"test"]) + wire([b"host", b"test"])
    return record(wire([b"test"]), SOA, data + struct.pack(">IIIII", 1, 2, 3, 4, ttl), ttl)


def message(q, answers=(), rcode=0, authority=(), flags=0, ident=None, question=None, additional=()):
    asked = q.data[12:q.end] if question is None else question
    head = struct.pack(">HHHHHH", q.id if ident is None else ident & 0xffff,
                       QR | 0x0480 | (q.flags & 0x0110) | flags | rcode, 1 if asked else 0,
                       len(answers), len(authority), len(additional))
    return head + asked + b"".join(answers) + b"".join(authority) + b"".join(additional)


def usual(q, **more):
    return message(q, address_record(q), **more)


def opt(q, rcode=0):
    return b"\0" + struct.pack(">HHBBHH", OPT, 1232, rcode >> 4, 0, 0, 0)


# --- behaviours: each takes the question and its parameter; it returns what is sent: bytes, a list
# of (seconds to wait before, bytes), or None. ------------------------------------------------------

def rcode(code):
    return lambda q, n: message(q, rcode=code)


def slow(default_ms):
    return lambda q, n: [((default_ms if n is None else n) / 1000, usual(q))]


def only_when(rtype, otherwise):
    """Misbehaves for one type, answers the others."""
    return lambda q, n: otherwise(q, n) if q.type == rtype else usual(q)


def first_times(otherwise):
    def behave(q, n):
        seen = counts[q.text.lower()][TYPES.get(q.type, str(q.type))]
        return otherwise(q, None) if seen <= (1 if n is None else n) else usual(q)
    return behave


def over_tcp(behave):
    """Truncated over UDP, misbehaves over TCP."""
    return lambda q, n: behave(q, n) if q.tcp else message(q, flags=TC)


def without_edns(behave):
    return lambda q, n: behave(q, n) if q.edns is not None else usual(q)


def changed_question(change):
    def behave(q, n):
        asked = bytearray(q.data[12:q.end])
        change(asked)
        return usual(q, question=bytes(asked))
    return behave


def flip_name(asked):
    asked[1] ^= 1


def flip_type(asked):
    asked[-3] ^= 2


def flip_class(asked):
    asked[-1] ^= 2


def swap_case(asked):
    i = 0
    while asked[i]:
        asked[i + 1:i + 1 + asked[i]] = asked[i + 1:i + 1 + asked[i]].swapcase()
        i += 1 + asked[i]


def patch(at, value):
    def behave(q, n):
        data = bytearray(usual(q))
        data[at:at + len(value)] = value
        return bytes(data)
    return behave


def chain(q, n):
    """n CNAME records, then the address."""
    n = 3 if n is None else n
    owner, parts = wire(q.name), []
    for i in range(n):
        target = wire([b"link%d" % i, b"test"])
        parts.append(record(owner, CNAME, target))
        owner = target
    return message(q, parts + address_record(q, owner))


def reversed_chain(q, n):
    data = [record(wire(labels_of("b.test")), A, b"\x7f\0\0\2"),
            record(wire(labels_of("a.test")), CNAME, wire(labels_of("b.test"))),
            record(SELF, CNAME, wire(labels_of("a.test")))]
    return message(q, data)


def cname_loop(q, n):
    other = wire([b"other", b"test"])
    return message(q, [record(SELF, CNAME, other), record(other, CNAME, wire(q.name))])


def cname_only(q, n):
    return message(q, [record(SELF, CNAME, wire([b"nowhere", b"test"]))])


def many(q, n):
    n = n or (MANY_TCP if q.tcp else MANY_UDP)
    return message(q, [record(SELF, A, bytes([127, 1, i >> 8 & 255, i & 255])) for i in range(n)])


def huge(q, n):
    texts = [record(SELF, TXT, b"\xff" + b"x" * 255) for _ in range(240)]
    return message(q, texts if q.type == TXT else address_record(q))


def ptr_loop(q, n):
    at = struct.pack(">H", 0xc000 | q.end)
    return message(q, [at + struct.pack(">HHIH", A, IN, TTL, 4) + b"\x7f\0\0\2"])


def ptr_forward(q, n):
    at = struct.pack(">H", 0xc000 | (q.end + 40))
    return message(q, [at + struct.pack(">HHIH", A, IN, TTL, 4) + b"\x7f\0\0\2"]) + bytes(60)


def bad_rdlength(q, n):
    data = usual(q)
    return data[:-6] + b"\xff\xff" + data[-4:]


def no_question(q, n):
    return message(q, address_record(q, wire(q.name)), question=b"")


def spoofed(q, n):
    """Somebody else's answers come first, with other numbers; then the right one."""
    false = message(q, [record(SELF, A, b"\x7f\6\6\6")], ident=q.id + 1)
    return [(0, false), (0, message(q, [record(SELF, A, b"\x7f\6\6\6")], ident=q.id ^ 0x8000)),
            (0.02, usual(q))]


def poisoned(q, n):
    other = record(wire(labels_of("victim.test")), A, b"\x7f\6\6\6")
    return message(q, address_record(q) + [other], additional=[other])


def octet_by_octet(q, n):
    data = usual(q)
    data = struct.pack(">H", len(data)) + data
    return [(0.001, bytes([c])) for c in data]


def short_tcp(q, n):
    data = usual(q)
    return [(0, struct.pack(">H", len(data) + 10) + data)]


def own_ttl(q, n):
    return message(q, address_record(q, ttl=TTL if n is None else n))


def negative(code):
    return lambda q, n: message(q, rcode=code, authority=[soa(q, TTL if n is None else n)])


BEHAVIOURS = {
    # silence and delay
    "drop": lambda q, n: None,
    "slow": slow(2000), "late": slow(300),
    "flaky": first_times(lambda q, n: None),          # drops the first (flaky-2: two) questions
    "tempfail": first_times(rcode(SERVFAIL)),
    "twice": lambda q, n: [(0, usual(q)), (0, usual(q))],
    # codes
    "servfail": rcode(SERVFAIL), "refused": rcode(REFUSED), "formerr": rcode(FORMERR),
    "notimp": rcode(NOTIMP), "nx": rcode(NXDOMAIN), "yxdomain": rcode(6),
    "nxsoa": negative(NXDOMAIN), "nodata": negative(0), "empty": lambda q, n: message(q),
    # another question, another sender
    "wrongid": lambda q, n: usual(q, ident=q.id + 1), "wrongq": changed_question(flip_name),
    "wrongtype": changed_question(flip_type), "wrongclass": changed_question(flip_class),
    "case": changed_question(swap_case), "noquestion": no_question,
    "spoof": spoofed, "poison": poisoned,
    "otherport": lambda q, n: usual(q), "othersource": lambda q, n: usual(q),  # see send_udp
    "echo": lambda q, n: q.data, "opcode": patch(2, b"\x94"),
    # broken messages
    "zero": lambda q, n: b"", "header": lambda q, n: usual(q)[:12],
    "short": lambda q, n: usual(q)[:20], "cut": lambda q, n: usual(q)[:-2],
    "garbage": lambda q, n: q.data[:2] + b"\x84\0" + bytes(range(200)),
    "ptrloop": ptr_loop, "ptrforward": ptr_forward, "badrdlen": bad_rdlength,
    "badlen": lambda q, n: message(q, [record(SELF, q.type, b"\x7f\0\0")]),
    "count": patch(6, b"\xff\xff"), "trailing": lambda q, n: usual(q) + b"trailing",
    "class": lambda q, n: message(q, [record(SELF, A, b"\x7f\0\0\2", cls=3)]),
    "owner": lambda q, n: message(q, [record(wire(labels_of("victim.test")), A, b"\x7f\6\6\6")]),
    # size
    "trunc": over_tcp(lambda q, n: usual(q)), "trunctcpfail": over_tcp(lambda q, n: None),
    "trunctcpdrop": over_tcp(lambda q, n: [(60, b"")]), "trunctcpcut": over_tcp(short_tcp),
    "trunctcpsame": lambda q, n: message(q, flags=TC),
    "trunclie": lambda q, n: usual(q) if q.tcp else usual(q, flags=TC),
    "split": over_tcp(octet_by_octet), "many": many, "manytrunc": over_tcp(many),
    "huge": over_tcp(huge),
    # one family only
    "adrop": only_when(A, lambda q, n: None), "aaaadrop": only_when(AAAA, lambda q, n: None),
    "aslow": only_when(A, slow(300)), "aaaaslow": only_when(AAAA, slow(300)),
    "afail": only_when(A, rcode(SERVFAIL)), "aaaafail": only_when(AAAA, rcode(SERVFAIL)),
    "aaaanx": only_when(AAAA, rcode(NXDOMAIN)), "v4only": only_when(AAAA, negative(0)),
    "v6only": only_when(A, negative(0)),
    # EDNS
    "ednsformerr": without_edns(rcode(FORMERR)), "ednsnotimp": without_edns(rcode(NOTIMP)),
    "ednsservfail": without_edns(rcode(SERVFAIL)), "ednsdrop": without_edns(lambda q, n: None),
    "ednsbadvers": without_edns(lambda q, n: message(q, additional=[opt(q, 16)])),
    # content
    "chain": chain, "chainback": reversed_chain, "loop": cname_loop, "dangling": cname_only,
    "ttl": own_ttl, "ad": lambda q, n: usual(q, flags=AD),
}


def behaviour_of(label):
    name, dash, number = label.lower().rpartition("-")
    if dash and number.isdigit() and name in BEHAVIOURS:
        return name, int(number)
    return label.lower(), None


def count_answer(q):
    name = q.text.lower()[:-len("count.test")].rstrip(".")
    if name == "reset":
        counts.clear()
    tally = counts[name] if name != "" else counts[None]
    strings = ["total=%d" % tally["total"]] + [
        "%s=%d" % (key, tally[key]) for key in sorted(tally) if key != "total"]
    data = b"".join(bytes([len(s)]) + s.encode() for s in strings)
    return message(q, [record(SELF, TXT, data, 0)])


def note(q, peer):
    kind, rtype = "tcp" if q.tcp else "udp", TYPES.get(q.type, str(q.type))
    for key in (None, q.text.lower()):
        counts[key].update(["total", kind, rtype])
    print(kind, rtype, q.text, "id=%d port=%d edns=%s flags=%04x" % (
        q.id, peer[1], "-" if q.edns is None else q.edns, q.flags), flush=True)


def answer(data, tcp, peer):
    """(name of the behaviour, list of (seconds, bytes)) for a question."""
    q = Question(data, tcp)
    with lock:
        if q.type == TXT and (q.text.lower() + ".").endswith("count.test."):
            return "", [(0, count_answer(q))]
        note(q, peer)
        name, number = behaviour_of(always or (q.name[0].decode("latin-1") if q.name else ""))
        reply = BEHAVIOURS.get(name, lambda q, n: usual(q))(q, number)
    if reply is None:
        return name, []
    return name, reply if isinstance(reply, list) else [(0, reply)]


def send_udp(sock, name, steps, peer):
    for seconds, data in steps:
        if seconds:
            time.sleep(seconds)
        if name == "otherport":
            with socket.socket(family, socket.SOCK_DGRAM) as other:
                other.bind((address, 0))
                other.sendto(data, peer)
        elif name == "othersource":
            with socket.socket(family, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.99" if family == socket.AF_INET else "::1", 0))
                other.sendto(data, peer)
        else:
            sock.sendto(data, peer)


def serve_udp(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        try:
            name, steps = answer(data, False, peer)
        except (IndexError, struct.error):
            continue
        if any(seconds for seconds, _ in steps):
            threading.Thread(target=send_udp, args=(sock, name, steps, peer), daemon=True).start()
        else:
            send_udp(sock, name, steps, peer)


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def serve_connection(connection, peer):
    raw = ("split", "trunctcpcut")  # these bring their own length
    with connection:
        try:
            while True:
                size = struct.unpack(">H", receive(connection, 2))[0]
                name, steps = answer(receive(connection, size), True, peer)
                if not steps:
                    return
                for seconds, data in steps:
                    if seconds:
                        time.sleep(seconds)
                    connection.sendall(data if name in raw else struct.pack(">H", len(data)) + data)
                if name == "trunctcpcut":
                    return
        except (OSError, EOFError, IndexError, struct.error):
            return


def serve_tcp(listener):
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=serve_connection, args=(connection, peer), daemon=True).start()


def main():
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.bind((address, port))
    tcp = socket.socket(family, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((address, port))
    tcp.listen(128)
    threading.Thread(target=serve_udp, args=(udp,), daemon=True).start()
    serve_tcp(tcp)


main()
