/* The load of the proxy benchmark: its clients and their target, each one thread on epoll.
 *
 *   load target PORT
 *       until it is killed: echoes on PORT, sends without end on PORT + 1, swallows octets on PORT + 2,
 *       tells on PORT + 3 how many that were (to whoever sends an octet)
 *   load MODE PROTOCOL PROXY TARGET CONNECTIONS SECONDS
 *       MODE      connections  one 64-octet echo on each, CONNECTIONS at a time
 *                 round-trips  64-octet echoes on CONNECTIONS kept ones
 *                 down, up     bulk on CONNECTIONS streams
 *                 idle         open CONNECTIONS (one echo each), say so, hold them until standard input ends
 *       PROTOCOL  direct, socks5 (no authentication), socks6 (draft-11; echoes start with a false start)
 *       PROXY, TARGET   ports on 127.0.0.1
 *
 * Prints one line of JSON. An octet that is wrong or missing ends it with a message and exit code 1, as does anything
 * unexpected; only in mode `connections` are connections that fail counted instead.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE = 64,
    CHUNK = 1 << 18,
    PERIOD = 65521, /* Of the bulk octets; a prime, so that what is lost or doubled in buffer sizes shows. */
    READS_PER_CHECK = 8, /* Comparing every read would take a tenth of a core from the proxies. */
    WRITES_PER_TURN = 4,
    OPENING_AT_ONCE = 64,
    MOST_FAILURES = 1000,
    EVENTS = 256,
    PATIENCE_MS = 10000,
};
static const uint64_t NS = 1000000000;

static int poller;
static uint8_t pattern[PERIOD + CHUNK];
static uint8_t chunk[CHUNK];

static void die(const char *what)
{
    fprintf(stderr, "load: %s (last error: %s)\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS + t.tv_nsec;
}

static void make_pattern(void)
{
    uint32_t x = 2463534242; /* Marsaglia's xorshift */
    for (size_t i = 0; i < PERIOD; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        pattern[i] = x;
    }
    for (size_t i = PERIOD; i < sizeof pattern; i++)
        pattern[i] = pattern[i - PERIOD];
}

static void watch(int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(poller, operation, fd, &event))
        die("epoll_ctl");
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* One direction of a bulk stream. */
struct stream {
    uint64_t octets;
    uint32_t reads;
};

/* One read: how many octets, 0 when nothing is there, -1 when the stream is over. */
static ssize_t receive_bulk(int fd, struct stream *stream)
{
    ssize_t count = recv(fd, chunk, CHUNK, MSG_DONTWAIT);
    if (count <= 0)
        return count < 0 && errno == EAGAIN ? 0 : -1;
    if (stream->reads++ % READS_PER_CHECK == 0 && memcmp(chunk, pattern + stream->octets % PERIOD, count))
        die("a wrong octet in a bulk stream");
    stream->octets += count;
    return count;
}

/* As much as the socket takes in one turn; false when the stream is over. */
static bool send_bulk(int fd, struct stream *stream)
{
    for (int i = 0; i < WRITES_PER_TURN; i++) {
        ssize_t count = send(fd, pattern + stream->octets % PERIOD, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0)
            return errno == EAGAIN;
        stream->octets += count;
        if (count < CHUNK)
            break;
    }
    return true;
}

/* ---- target ---- */

enum service { ECHO, SOURCE, SINK, COUNTER };

struct served {
    int fd;
    enum service service;
    bool listens;
    struct stream stream;
};

static uint64_t swallowed;

static void add_served(int fd, enum service service, bool listens)
{
    struct served *served = calloc(1, sizeof *served);
    *served = (struct served){.fd = fd, .service = service, .listens = listens};
    watch(EPOLL_CTL_ADD, fd, service == SOURCE && !listens ? EPOLLIN | EPOLLOUT : EPOLLIN, served);
}

static void accept_some(struct served *listener)
{
    for (int i = 0; i < OPENING_AT_ONCE; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        add_served(fd, listener->service, false);
    }
}

/* What came is answered; false when the connection is over. */
static bool answer(struct served *served)
{
    ssize_t count = recv(served->fd, chunk, CHUNK, MSG_DONTWAIT);
    if (count <= 0)
        return count < 0 && errno == EAGAIN;
    if (served->service == ECHO)
        return send(served->fd, chunk, count, MSG_DONTWAIT | MSG_NOSIGNAL) == count;
    return send(served->fd, &swallowed, sizeof swallowed, MSG_NOSIGNAL) == sizeof swallowed;
}

static bool serve(struct served *served, uint32_t events)
{
    if (served->service == SINK) {
        ssize_t count = receive_bulk(served->fd, &served->stream);
        swallowed += count > 0 ? count : 0;
        return count >= 0;
    }
    if (events & EPOLLOUT && !send_bulk(served->fd, &served->stream))
        return false;
    return !(events & ~EPOLLOUT) || answer(served);
}

static void run_target(int port)
{
    for (enum service service = ECHO; service <= COUNTER; service++) {
        struct sockaddr_in address = loopback(port + service);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
        if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096))
            die("the target cannot listen");
        add_served(fd, service, true);
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct served *served = events[i].data.ptr;
            if (served->listens) {
                accept_some(served);
            } else if (!serve(served, events[i].events)) {
                close(served->fd);
                free(served);
            }
        }
    }
}

/* ---- clients ---- */

enum mode { CONNECTIONS, ROUND_TRIPS, DOWN, UP, IDLE };
enum protocol { DIRECT, SOCKS5, SOCKS6 };
enum stage { CONNECTING, METHOD, REPLY5, AUTHENTICATION, REPLY6, OPEN };
static const char *const MODES[] = {"connections", "round-trips", "down", "up", "idle", NULL};
static const char *const PROTOCOLS[] = {"direct", "socks5", "socks6", NULL};

struct client {
    int fd;
    enum stage stage;
    uint64_t token; /* what its next message is made of */
    uint64_t began; /* ns: when it connected, or sent its last message */
    struct stream stream;
    uint32_t have; /* octets in `in` */
    uint8_t in[512];
};

static struct {
    enum mode mode;
    enum protocol protocol;
    int proxy, target;
    uint32_t wanted, begun, ready;
    uint64_t duration, started, deadline; /* ns; `deadline` is 0 until the measurement starts */
    uint64_t done, failed, tokens, octets_before;
    uint64_t early; /* of `done`, in the first quarter */
    struct client *clients;
} run;

/* Latencies in ns: 2^BITS buckets for each power of two, so that a bucket is less than one percent wide. */
enum { BITS = 7 };
static uint64_t histogram[64 << BITS];

static void note_latency(uint64_t ns)
{
    int shift = ns >> BITS ? 63 - __builtin_clzll(ns) - BITS : 0;
    histogram[((uint64_t)shift << BITS) + (ns >> shift)]++;
}

static double percentile_us(double share)
{
    uint64_t total = 0, seen = 0, i = 0;
    for (size_t j = 0; j < sizeof histogram / sizeof *histogram; j++)
        total += histogram[j];
    if (!total)
        return 0;
    while ((seen += histogram[i]) < share * total)
        i++;
    uint64_t shift = i >> (BITS + 1) ? (i >> BITS) - 1 : 0;
    return (double)((i - (shift << BITS)) << shift) / 1e3;
}

static bool is_bulk(void) { return run.mode == DOWN || run.mode == UP; }

/* Octets that no other message has: one that goes astray between connections shows. */
static void make_message(uint8_t *message, uint64_t token)
{
    uint64_t words[MESSAGE / 8];
    for (int i = 0; i < MESSAGE / 8; i++)
        words[i] = (token + i) * 0x9e3779b97f4a7c15;
    memcpy(message, words, MESSAGE);
}

static void begin(struct client *c)
{
    struct sockaddr_in address = loopback(run.protocol == DIRECT ? run.target : run.proxy);
    int one = 1, none = 0;
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .began = now()};
    if (c->fd < 0)
        die("no more sockets");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* The client always speaks first, and its first octets acknowledge the handshake: no segment of its own for that. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &none, sizeof none);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        die("cannot connect");
    /* Edges: a connection that just became writable says so once, and no system call is needed to stop it. */
    watch(EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT | EPOLLET, c);
}

/* Mode `connections`: this one is over, the next may begin. */
static void next(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    if (now() < run.deadline)
        begin(c);
}

static void fail(struct client *c, const char *why)
{
    if (run.mode != CONNECTIONS || ++run.failed > MOST_FAILURES) {
        char what[128];
        snprintf(what, sizeof what, "a connection failed in stage %d after %u: %s", c->stage, run.ready, why);
        die(what);
    }
    next(c);
}

/* Whether it was sent; if not, the connection is over. */
static bool put(struct client *c, const void *data, size_t count)
{
    if (send(c->fd, data, count, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)count)
        return true;
    fail(c, "it takes no data");
    return false;
}

static bool send_message(struct client *c)
{
    uint8_t message[MESSAGE];
    make_message(message, c->token = run.tokens++);
    if (run.mode == ROUND_TRIPS)
        c->began = now();
    return put(c, message, MESSAGE);
}

static void hold(void)
{
    char octet;
    printf("{\"open\": %u}\n", run.ready);
    fflush(stdout);
    while (read(STDIN_FILENO, &octet, 1) > 0)
        ;
    exit(0);
}

static uint64_t octets_moved(void)
{
    uint64_t octets = 0;
    for (uint32_t i = 0; i < run.wanted; i++)
        octets += run.clients[i].stream.octets;
    return octets;
}

static void start_measuring(void)
{
    run.started = now();
    run.deadline = run.started + run.duration;
    run.octets_before = octets_moved();
    if (run.mode == ROUND_TRIPS)
        for (uint32_t i = 0; i < run.wanted; i++)
            send_message(&run.clients[i]);
}

/* A connection that will be kept is open: open another, or begin when it was the last. */
static bool kept(void)
{
    if (run.begun < run.wanted)
        begin(&run.clients[run.begun++]);
    if (++run.ready < run.wanted)
        return true;
    if (run.mode == IDLE)
        hold();
    start_measuring();
    return true;
}

static bool echoed(struct client *c, const uint8_t *echo)
{
    uint8_t message[MESSAGE];
    uint64_t time = now();
    make_message(message, c->token);
    if (memcmp(echo, message, MESSAGE) || c->have)
        die("a wrong octet in an echo");
    if (!run.deadline)
        return kept();
    if (time < run.deadline) {
        run.done++;
        run.early += time < run.started + run.duration / 4;
        note_latency(time - c->began);
    }
    if (run.mode == CONNECTIONS) {
        next(c);
        return false;
    }
    return send_message(c);
}

/* The way to the target is open. */
static bool opened(struct client *c)
{
    c->stage = OPEN;
    if (!is_bulk())
        return run.protocol == SOCKS6 || send_message(c);
    if (memcmp(c->in, pattern, c->have))
        die("a wrong octet behind a reply");
    c->stream.octets = c->have;
    watch(EPOLL_CTL_MOD, c->fd, run.mode == UP ? EPOLLIN | EPOLLOUT : EPOLLIN, c);
    kept();
    return false;
}

static bool greet(struct client *c)
{
    /* version, CONNECT, options length 0, port, padding, IPv4, address; then the false start */
    uint8_t request[12 + MESSAGE] = {6, 1, 0, 0, run.target >> 8, run.target & 0xff, 0, 1, 127, 0, 0, 1};
    switch (run.protocol) {
    case DIRECT: return opened(c);
    case SOCKS5: c->stage = METHOD; return put(c, "\5\1\0", 3);
    default:
        c->stage = AUTHENTICATION;
        make_message(request + 12, c->token = run.tokens++);
        return put(c, request, is_bulk() ? 12 : sizeof request);
    }
}

/* How long the message is that is being received, as far as can be told by now. */
static uint32_t expected(const struct client *c)
{
    const uint8_t *in = c->in;
    uint32_t options = in[2] << 8 | in[3];
    switch (c->stage) {
    case METHOD: return 2;
    case REPLY5: return c->have < 4 ? 4 : in[3] == 4 ? 22 : 10;
    case AUTHENTICATION: return c->have < 4 ? 4 : 4 + options;
    case REPLY6: return c->have < 8 ? 8 : 8 + (in[7] == 4 ? 16 : 4) + options;
    default: return MESSAGE;
    }
}

/* Whether more is to be read as messages. */
static bool take(struct client *c, const uint8_t *message)
{
    uint8_t request[] = {5, 1, 0, 1, 127, 0, 0, 1, run.target >> 8, run.target & 0xff};
    if (c->stage == OPEN)
        return echoed(c, message);
    if (message[0] != (run.protocol == SOCKS5 ? 5 : 6) || message[1] != 0) {
        char why[32];
        snprintf(why, sizeof why, "the reply is %u %u", message[0], message[1]);
        fail(c, why);
        return false;
    }
    switch (c->stage) {
    case METHOD: c->stage = REPLY5; return put(c, request, sizeof request);
    case AUTHENTICATION: c->stage = REPLY6; return true;
    default: return opened(c);
    }
}

static void read_messages(struct client *c)
{
    uint8_t message[sizeof c->in];
    uint32_t length;
    ssize_t count = recv(c->fd, c->in + c->have, sizeof c->in - c->have, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        fail(c, count ? strerror(errno) : "it was closed");
        return;
    }
    c->have += count;
    do {
        if ((length = expected(c)) > sizeof c->in)
            die("a reply is too long");
        if (c->have < length)
            return;
        memcpy(message, c->in, length);
        memmove(c->in, c->in + length, c->have -= length);
    } while (take(c, message));
}

static void move_bulk(struct client *c, uint32_t events)
{
    if (run.mode == UP && events & ~EPOLLOUT)
        die("a bulk stream ended early");
    if (run.mode == UP ? !send_bulk(c->fd, &c->stream) : receive_bulk(c->fd, &c->stream) < 0)
        die("a bulk stream broke");
}

static uint64_t ask_counter(int fd)
{
    uint64_t count;
    if (send(fd, "?", 1, MSG_NOSIGNAL) != 1 || recv(fd, &count, sizeof count, MSG_WAITALL) != sizeof count)
        die("the target does not tell its count");
    return count;
}

/* What was sent is not yet there: wait until the target has every octet. */
static void wait_for_target(int counter, uint64_t before)
{
    uint64_t sent = octets_moved(), patience = now() + PATIENCE_MS * (NS / 1000);
    while (ask_counter(counter) - before < sent) {
        if (now() > patience)
            die("octets were lost on their way up");
        usleep(200);
    }
}

static int trouble(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static void ready(struct client *c, uint32_t events)
{
    if (c->stage == OPEN && is_bulk())
        move_bulk(c, events);
    else if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN))
        fail(c, strerror(trouble(c->fd)));
    else if (c->stage != CONNECTING)
        read_messages(c);
    else if (events & EPOLLOUT)
        greet(c);
}

static void run_clients(void)
{
    struct sockaddr_in address = loopback(run.target - SINK + COUNTER);
    int counter = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t before = 0;
    if (run.mode == UP) {
        if (connect(counter, (struct sockaddr *)&address, sizeof address))
            die("the target does not answer");
        before = ask_counter(counter);
    }
    run.clients = calloc(run.wanted, sizeof *run.clients);
    while (run.begun < run.wanted && run.begun < OPENING_AT_ONCE)
        begin(&run.clients[run.begun++]);
    if (run.mode == CONNECTIONS)
        start_measuring();
    while (!run.deadline || now() < run.deadline) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, PATIENCE_MS);
        if (count == 0)
            die("nothing happens any more");
        for (int i = 0; i < count; i++)
            ready(events[i].data.ptr, events[i].events);
    }
    if (run.mode == UP)
        wait_for_target(counter, before);
    printf("{\"seconds\": %.6f, \"done\": %lu, \"early\": %lu, \"failed\": %lu, \"octets\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (now() - run.started) / 1e9, run.done, run.early, run.failed, octets_moved() - run.octets_before,
           percentile_us(0.5), percentile_us(0.99));
}

static int choice(const char *word, const char *const *choices)
{
    for (int i = 0; choices[i]; i++)
        if (!strcmp(word, choices[i]))
            return i;
    die("no such mode or protocol");
    return -1;
}

int main(int count, char **words)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(EPOLL_CLOEXEC);
    make_pattern();
    if (count == 3 && !strcmp(words[1], "target"))
        run_target(atoi(words[2]));
    if (count != 7)
        die("wrong arguments: see the head of load.c");
    run.mode = choice(words[1], MODES);
    run.protocol = choice(words[2], PROTOCOLS);
    run.proxy = atoi(words[3]);
    run.target = atoi(words[4]) + (run.mode == DOWN ? SOURCE : run.mode == UP ? SINK : ECHO);
    run.wanted = atoi(words[5]);
    run.duration = atof(words[6]) * 1e9;
    run_clients();
    return 0;
}
