/*
 * The load client: one thread, epoll, loopback only. It ends by itself, and prints one line of JSON.
 *
 *     client MODE port=N [pid=N] [connections=N] [kind=bytes|lines|frames] [size=N] [batch=N] [seconds=X] [warmup=X] [rate=N]
 *
 * echo   closed loop: every connection sends a message, waits for the whole answer, sends the next
 * open   open loop: messages leave by the clock, latency counts from the time each was due
 * flood  the first connection sends batches of lines in a closed loop, the others one line each: their latency counts
 * up     sends for so many seconds, then has the server say how many bytes came
 * down   receives for so many seconds
 * churn  connect, one line there and back, half-close, wait for the end; never sleeps, since waking it would be the
 *        greater part of what a server is charged with, and the more the slower that is
 * slow   receives a little, then stops reading
 * idle   opens connections, has one line answered on each, says "ready", waits for the end of its standard input
 * serve  is an echo server itself, until the end of its standard input
 *
 * Every byte of the first answer on a connection is compared; after that bytes are counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

enum { BUFFER = 256 * 1024, EVENTS = 1024, LONGEST = 10 * 1000 * 1000 /* microseconds */, DUE = 1 << 16, AT_ONCE = 256 };

typedef struct {
    char *bytes;
    size_t length;
    unsigned units; /* operations that its answer stands for */
} Message;

typedef struct {
    int fd;
    const Message *message;
    size_t unsent, sent;     /* sent: offset in the message */
    size_t received, checked;
    uint64_t *due;           /* when the messages under way should have left, a ring */
    unsigned oldest, newest;
    unsigned places;         /* in the ring */
    bool waits_for_room;
} Connection;

static int port, pid, connections = 1, rate = 1000;
static const char *kind = "bytes";
static size_t size = 1024, batch = 1;
static double seconds = 1, warmup = 0.25;

static char buffer[BUFFER];
static int poller;
static uint64_t start, measure_from, measure_until, cpu_before;
static struct rusage usage_before;
static uint64_t operations, flooded;
static uint64_t spun; /* nanoseconds spent on looking for what had not come yet */
static bool measuring;
static int unanswered; /* connections that have not had their first answer: it is not time to measure yet */
static uint32_t *latencies; /* how many took so many microseconds */

static void die(const char *what) {
    fprintf(stderr, "client: %s: %s\n", what, errno ? strerror(errno) : "wrong");
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* The processor time of all threads of the server, as the scheduler counts it, in nanoseconds. */
static uint64_t server_cpu(void) {
    char path[300];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = pid ? opendir(path) : NULL;
    if (!folder) return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        unsigned long long spent = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%llu", &spent) == 1) sum += spent;
        fclose(file);
    }
    closedir(folder);
    return sum;
}

static double spent_by(struct rusage *usage) {
    return usage->ru_utime.tv_sec + usage->ru_stime.tv_sec + (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static void begin(void) {
    start = now();
    measure_from = start + (uint64_t)(warmup * 1e9);
    measure_until = measure_from + (uint64_t)(seconds * 1e9);
}

/* Starts and ends the time that counts. False: it is over. */
static bool tick(uint64_t time) {
    errno = 0;
    if (unanswered > 0 && time > measure_until + 30000000000ull) die("a connection got no answer");
    if (!measuring && unanswered == 0 && time >= measure_from) {
        measuring = true;
        operations = flooded = spun = 0;
        cpu_before = server_cpu();
        getrusage(RUSAGE_SELF, &usage_before);
        measure_from = now();
        measure_until = measure_from + (uint64_t)(seconds * 1e9);
    }
    return !measuring || time < measure_until;
}

static double percentile(double share) {
    uint64_t count = 0, seen = 0;
    for (int i = 0; i < LONGEST; i++) count += latencies[i];
    for (int i = 0; i < LONGEST; i++)
        if ((seen += latencies[i]) > count * share) return i;
    return 0;
}

static void report(void) {
    uint64_t cpu = server_cpu() - cpu_before;
    double took = (now() - measure_from) / 1e9;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"operations\":%llu,\"flooded\":%llu,\"seconds\":%.6f,\"serverCpu\":%llu,\"clientBusy\":%.3f",
           (unsigned long long)operations, (unsigned long long)flooded, took, (unsigned long long)cpu,
           (spent_by(&usage) - spent_by(&usage_before) - spun / 1e9) / took);
    if (latencies)
        printf(",\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f", percentile(0.5), percentile(0.99), percentile(0.999));
    printf("}\n");
}

static Message message_of(const char *what, size_t unit, size_t count) {
    Message message = {.units = count, .length = unit * count};
    message.bytes = malloc(message.length);
    for (size_t i = 0; i < message.length; i++) message.bytes[i] = 'a' + i % 23;
    for (size_t end = unit; end <= message.length && !strcmp(what, "lines"); end += unit) message.bytes[end - 1] = '\n';
    for (size_t at = 0; at < message.length && !strcmp(what, "frames"); at += unit) {
        uint32_t length = htonl(unit - 4);
        memcpy(message.bytes + at, &length, 4);
    }
    return message;
}

static int connected(bool blocking) {
    static unsigned count;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) die("socket");
    /* Many short connections: from one address the ports would run out. */
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + count++ % 200)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (void *)&from, sizeof from)) die("bind");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (void *)&to, sizeof to)) die("connect");
    if (!blocking) fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void watch(int operation, int fd, uint32_t events, void *data) {
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(poller, operation, fd, &event)) die("epoll_ctl");
}

static void flush_out(Connection *connection) {
    const Message *message = connection->message;
    while (connection->unsent > 0) {
        size_t rest = message->length - connection->sent;
        ssize_t count = send(connection->fd, message->bytes + connection->sent,
                             rest < connection->unsent ? rest : connection->unsent, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) die("send");
        if (count < 0) break;
        connection->unsent -= count;
        connection->sent = (connection->sent + count) % message->length;
    }
    bool waits = connection->unsent > 0;
    if (waits != connection->waits_for_room) {
        connection->waits_for_room = waits;
        watch(EPOLL_CTL_MOD, connection->fd, EPOLLIN | (waits ? EPOLLOUT : 0), connection);
    }
}

static void send_message(Connection *connection, uint64_t due) {
    if (connection->newest - connection->oldest == connection->places) die("the server is too far behind");
    connection->due[connection->newest++ % connection->places] = due;
    connection->unsent += connection->message->length;
    flush_out(connection);
}

static void check(Connection *connection, size_t count) {
    size_t left = connection->message->length - connection->checked;
    size_t some = count < left ? count : left;
    errno = 0;
    if (memcmp(buffer, connection->message->bytes + connection->checked, some)) die("the answer");
    connection->checked += some;
    if (connection->checked == connection->message->length && unanswered > 0) unanswered--;
}

/* Takes what has come, and says how many whole answers that made. */
static unsigned receive(Connection *connection) {
    ssize_t count = recv(connection->fd, buffer, BUFFER, 0);
    if (count < 0 && errno == EAGAIN) return 0;
    if (count <= 0) die("the server has closed a connection");
    if (connection->checked < connection->message->length) check(connection, count);
    connection->received += count;
    unsigned answers = connection->received / connection->message->length;
    connection->received %= connection->message->length;
    return answers;
}

static void count_answer(Connection *connection, uint64_t time, bool floods) {
    uint64_t due = connection->due[connection->oldest++ % connection->places];
    if (!measuring) return;
    if (floods) {
        flooded += connection->message->units;
        return;
    }
    operations += connection->message->units;
    uint64_t took = (time - due) / 1000;
    latencies[took < LONGEST ? took : LONGEST - 1]++;
}

/*
 * A queue of connections that overflows costs seconds. They are accepted in order: when one has its answer, those before
 * it no longer wait.
 */
static void let_accept(const Message *message) {
    int fd = connected(true);
    if (send(fd, message->bytes, message->length, MSG_NOSIGNAL) != (ssize_t)message->length) die("send");
    for (size_t missing = message->length; missing > 0;) {
        ssize_t count = recv(fd, buffer, missing < BUFFER ? missing : BUFFER, 0);
        if (count <= 0) die("recv");
        missing -= count;
    }
    close(fd);
}

static void messages(bool open_loop, bool flood) {
    Message message = flood ? message_of("lines", size, 1) : message_of(kind, size, batch);
    Message torrent = message_of("lines", size, batch);
    Connection *all = calloc(connections, sizeof *all);
    struct epoll_event events[EVENTS];
    latencies = calloc(LONGEST, sizeof *latencies);
    for (int i = 0; i < connections; i++) {
        unsigned places = open_loop ? DUE : 1;
        all[i] = (Connection){.fd = connected(false), .message = flood && i == 0 ? &torrent : &message,
                              .due = calloc(places, sizeof(uint64_t)), .places = places};
        watch(EPOLL_CTL_ADD, all[i].fd, EPOLLIN, &all[i]);
        if (i % AT_ONCE == AT_ONCE - 1) let_accept(&message);
    }
    begin();
    unanswered = connections;
    uint64_t sent = 0;
    for (int i = 0; i < connections && !open_loop; i++) send_message(&all[i], start);
    for (uint64_t time = start; tick(time); time = now()) {
        for (uint64_t due; open_loop && (due = start + sent * 1000000000ull / rate) <= time; sent++)
            send_message(&all[sent % connections], due);
        /* An open loop does not sleep: being woken late would be taken for the server's latency. */
        int count = epoll_wait(poller, events, EVENTS, open_loop ? 0 : 100);
        uint64_t woken = now();
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush_out(connection);
            if (!(events[i].events & ~EPOLLOUT)) continue;
            for (unsigned answers = receive(connection); answers > 0; answers--) {
                count_answer(connection, woken, flood && connection == all);
                if (!open_loop) send_message(connection, now());
            }
        }
    }
    report();
}

static void up(void) {
    Message message = message_of("bytes", 64 * 1024, 1);
    int fd = connected(true);
    uint64_t total = 0;
    begin();
    while (tick(now())) {
        ssize_t count = send(fd, message.bytes, message.length, MSG_NOSIGNAL);
        if (count < 0) die("send");
        total += count;
        operations += count;
    }
    report();
    shutdown(fd, SHUT_WR);
    size_t length = 0;
    for (ssize_t count; length < 100 && (count = recv(fd, buffer + length, 100, 0)) > 0;) length += count;
    buffer[length] = 0;
    errno = 0;
    if (strtoull(buffer, NULL, 10) != total) die("the number of bytes the server has counted");
}

static void down(void) {
    int fd = connected(true);
    uint64_t total = 0;
    begin();
    while (tick(now())) {
        ssize_t count = recv(fd, buffer, BUFFER, 0);
        if (count <= 0) die("recv");
        errno = 0;
        for (ssize_t i = 0; i < count && total + i < 65536; i++)
            if (buffer[i] != 'x') die("the answer");
        total += count;
        operations += count;
    }
    report();
}

static void churn_one(Connection *connection, const Message *line) {
    *connection = (Connection){.fd = connected(false), .message = line, .unsent = line->length};
    watch(EPOLL_CTL_ADD, connection->fd, EPOLLIN, connection);
    flush_out(connection);
}

static void churn(void) {
    Message line = message_of("lines", size, 1);
    Connection *all = calloc(connections, sizeof *all);
    struct epoll_event events[EVENTS];
    begin();
    for (int i = 0; i < connections; i++) churn_one(&all[i], &line);
    for (uint64_t time = now(); tick(time);) {
        uint64_t before = now();
        int count = epoll_wait(poller, events, EVENTS, 0);
        time = now();
        if (count == 0) spun += time - before;
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;
            ssize_t length = recv(connection->fd, buffer, BUFFER, 0);
            if (length < 0) die("recv");
            if (length > 0) {
                check(connection, length);
                if (connection->checked == line.length) shutdown(connection->fd, SHUT_WR);
                continue;
            }
            if (connection->checked < line.length) die("the server has closed a connection");
            close(connection->fd);
            operations++;
            churn_one(connection, &line);
        }
    }
    report();
}

static void slow(void) {
    int fd = connected(true), small = 64 * 1024;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (recv(fd, buffer, 1024, 0) <= 0) die("recv");
    begin();
    while (tick(now())) usleep(10000);
    report();
}

static void idle(void) {
    Message line = message_of("lines", size, 1);
    for (int i = 0; i < connections; i++) {
        Connection connection = {.fd = connected(true), .message = &line};
        if (send(connection.fd, line.bytes, line.length, MSG_NOSIGNAL) < 0) die("send");
        while (connection.checked < line.length) receive(&connection);
    }
    printf("ready\n");
    fflush(stdout);
    while (read(0, buffer, BUFFER) > 0) continue;
    /* A reset at once: thousands of ordinary closes would still be going on in the next round. */
    _exit(0);
}

static void serve(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event events[EVENTS];
    if (bind(listener, (void *)&address, length) || listen(listener, 1024)) die("listen");
    getsockname(listener, (void *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) {
                if (read(0, buffer, BUFFER) <= 0) exit(0);
                continue;
            }
            if (fd == listener) {
                int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(poller, EPOLL_CTL_ADD, accepted, &(struct epoll_event){.events = EPOLLIN, .data.fd = accepted});
                continue;
            }
            ssize_t got = recv(fd, buffer, BUFFER, 0);
            /* Blocking: the messages of this workload fit into the kernel's buffer. */
            if (got <= 0 || send(fd, buffer, got, MSG_NOSIGNAL) < 0) close(fd);
        }
    }
}

int main(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) die(argv[i]);
        *value++ = 0;
        if (!strcmp(argv[i], "port")) port = atoi(value);
        else if (!strcmp(argv[i], "pid")) pid = atoi(value);
        else if (!strcmp(argv[i], "connections")) connections = atoi(value);
        else if (!strcmp(argv[i], "kind")) kind = value;
        else if (!strcmp(argv[i], "size")) size = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "batch")) batch = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "seconds")) seconds = atof(value);
        else if (!strcmp(argv[i], "warmup")) warmup = atof(value);
        else if (!strcmp(argv[i], "rate")) rate = atoi(value);
        else die(argv[i]);
    }
    const char *mode = argc > 1 ? argv[1] : "";
    /* As many descriptors as it may have: each connection is one. */
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!strcmp(mode, "echo")) messages(false, false);
    else if (!strcmp(mode, "open")) messages(true, false);
    else if (!strcmp(mode, "flood")) messages(false, true);
    else if (!strcmp(mode, "up")) up();
    else if (!strcmp(mode, "down")) down();
    else if (!strcmp(mode, "churn")) churn();
    else if (!strcmp(mode, "slow")) slow();
    else if (!strcmp(mode, "idle")) idle();
    else if (!strcmp(mode, "serve")) serve();
    else die(mode);
    return 0;
}
