/* A camera, as V4L2 has it, for programs that are started with this library preloaded.

   The environment says what it is like, each time it is opened:

   CAMERA_DEVICE  its path; without it, /dev/video0
   CAMERA_FILE    its pictures, one after another, each behind its size (uint32); the last one stays,
   CAMERA_LOOP    or, with 1, they come again
   CAMERA_FORMAT  in which format they are: YUYV, MJPG, ...
   CAMERA_SIZE    WIDTHxHEIGHT of each
   CAMERA_RATE    frames a second
   CAMERA_FREEZES after how many frames no more come
   CAMERA_FAULT   CALL ERRNO AFTER: that call fails with that number, once it has succeeded so often

   Its descriptor is a timer's, so that select and poll wait for the next frame. As by a driver, a frame for which no
   buffer is queued is dropped, and a buffer that nobody takes keeps its frame.

   Sources: linux/videodev2.h, and the Linux kernel's documentation of V4L2's capture interface. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MOST_DESCRIPTORS 4096
#define MOST_BUFFERS 8
#define PAGE 4096

typedef struct {
    unsigned count, at[MOST_BUFFERS];
} Queue;

static struct {
    unsigned char opened[MOST_DESCRIPTORS];     /* whether a descriptor is the camera's */
    const unsigned char *start, *picture, *end; /* of the file; which of it is shown */
    int loops;
    unsigned width, height, format, rate, buffers;
    size_t size; /* of a buffer */
    unsigned char *memory;
    int memory_file;
    uint64_t tick, ticks; /* frames so far, and at most */
    struct v4l2_buffer filled[MOST_BUFFERS];
    Queue queued, done;
    char failing[32];
    int error;
    unsigned successes;
} camera;

static const struct {
    const char *name;
    unsigned long code;
} CALLS[] = {
    {"QUERYCAP", VIDIOC_QUERYCAP}, {"ENUMINPUT", VIDIOC_ENUMINPUT}, {"G_INPUT", VIDIOC_G_INPUT},
    {"S_INPUT", VIDIOC_S_INPUT},   {"ENUM_FMT", VIDIOC_ENUM_FMT},   {"G_FMT", VIDIOC_G_FMT},
    {"S_FMT", VIDIOC_S_FMT},       {"TRY_FMT", VIDIOC_TRY_FMT},     {"G_PARM", VIDIOC_G_PARM},
    {"S_PARM", VIDIOC_S_PARM},     {"REQBUFS", VIDIOC_REQBUFS},     {"QUERYBUF", VIDIOC_QUERYBUF},
    {"QBUF", VIDIOC_QBUF},         {"DQBUF", VIDIOC_DQBUF},         {"STREAMON", VIDIOC_STREAMON},
    {"STREAMOFF", VIDIOC_STREAMOFF},
};

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_camera(int fd) { return fd >= 0 && fd < MOST_DESCRIPTORS && camera.opened[fd]; }

static int is_device(const char *path)
{
    const char *device = getenv("CAMERA_DEVICE");
    return !strcmp(path, device ? device : "/dev/video0");
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static void refuse(const char *reason)
{
    fprintf(stderr, "camera.c: %s\n", reason);
    abort();
}

static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void push(Queue *queue, unsigned index) { queue->at[queue->count++] = index; }

static unsigned pop(Queue *queue)
{
    unsigned index = queue->at[0];
    memmove(queue->at, queue->at + 1, --queue->count * sizeof *queue->at);
    return index;
}

/* Whether `call` is the one that is to fail, now. */
static int fails(const char *call)
{
    if (strcmp(call, camera.failing))
        return 0;
    return camera.successes ? camera.successes--, 0 : 1;
}

static void read_environment(void)
{
    const char *path = getenv("CAMERA_FILE"), *format = getenv("CAMERA_FORMAT"), *size = getenv("CAMERA_SIZE");
    const char *fault = getenv("CAMERA_FAULT");
    struct stat status;
    int file = REAL(open)(path ? path : "", O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) || !format)
        refuse("CAMERA_FILE cannot be read, or CAMERA_FORMAT is missing");
    if (!size || sscanf(size, "%ux%u", &camera.width, &camera.height) != 2)
        refuse("CAMERA_SIZE is not WIDTHxHEIGHT");
    camera.start = camera.picture = REAL(mmap)(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    camera.end = camera.start + status.st_size;
    camera.loops = number("CAMERA_LOOP", 0);
    REAL(close)(file);
    camera.format = v4l2_fourcc(format[0], format[1], format[2], format[3]);
    camera.size = (camera.width * camera.height * 3 + PAGE - 1) / PAGE * PAGE;
    camera.rate = number("CAMERA_RATE", 30);
    camera.tick = 0;
    camera.ticks = number("CAMERA_FREEZES", UINT32_MAX);
    camera.queued.count = camera.done.count = 0;
    camera.failing[0] = 0;
    if (fault && sscanf(fault, "%31s %d %u", camera.failing, &camera.error, &camera.successes) != 3)
        refuse("CAMERA_FAULT is not CALL ERRNO AFTER");
}

static int open_camera(void)
{
    read_environment();
    if (fails("open"))
        return fail(camera.error);
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd >= MOST_DESCRIPTORS)
        refuse("too many open files");
    if (fd >= 0)
        camera.opened[fd] = 1;
    return fd;
}

static void set_timer(int fd, unsigned rate)
{
    long pause = rate ? 1000000000 / rate : 0;
    struct timespec time = {pause / 1000000000, pause % 1000000000};
    struct itimerspec timer = {time, time};
    timerfd_settime(fd, 0, &timer, NULL);
}

static void fill(unsigned index)
{
    struct v4l2_buffer *buffer = &camera.filled[index];
    uint32_t size;
    struct timespec now;
    memcpy(&size, camera.picture, sizeof size);
    memcpy(camera.memory + index * camera.size, camera.picture + sizeof size, size);
    clock_gettime(CLOCK_MONOTONIC, &now);
    buffer->bytesused = size;
    buffer->sequence = camera.tick;
    buffer->timestamp.tv_sec = now.tv_sec;
    buffer->timestamp.tv_usec = now.tv_nsec / 1000;
}

/* Fill queued buffers with the frames whose time has come; those for which there is none are dropped. */
static void advance(int fd)
{
    uint64_t ticks;
    if (REAL(read)(fd, &ticks, sizeof ticks) != sizeof ticks)
        return;
    for (; ticks; ticks--) {
        if (camera.tick == camera.ticks) {
            set_timer(fd, 0);
            return;
        }
        if (camera.queued.count) {
            unsigned index = pop(&camera.queued);
            fill(index);
            push(&camera.done, index);
        }
        camera.tick++;
        uint32_t size;
        memcpy(&size, camera.picture, sizeof size);
        const unsigned char *next = camera.picture + sizeof size + size;
        if (next < camera.end)
            camera.picture = next;
        else if (camera.loops)
            camera.picture = camera.start;
    }
}

static void describe(struct v4l2_format *format)
{
    memset(&format->fmt, 0, sizeof format->fmt);
    format->fmt.pix.width = camera.width;
    format->fmt.pix.height = camera.height;
    format->fmt.pix.pixelformat = camera.format;
    format->fmt.pix.field = V4L2_FIELD_NONE;
    format->fmt.pix.bytesperline = camera.format == V4L2_PIX_FMT_MJPEG ? 0 : camera.width * 2;
    format->fmt.pix.sizeimage = camera.size;
    format->fmt.pix.colorspace = V4L2_COLORSPACE_SRGB;
}

static int make_buffers(struct v4l2_requestbuffers *request)
{
    if (camera.memory) {
        munmap(camera.memory, camera.buffers * camera.size);
        REAL(close)(camera.memory_file);
        camera.memory = NULL;
    }
    if (request->count > MOST_BUFFERS)
        request->count = MOST_BUFFERS;
    camera.buffers = request->count;
    camera.queued.count = camera.done.count = 0;
    if (!request->count)
        return 0;
    size_t size = camera.buffers * camera.size;
    camera.memory_file = memfd_create("camera", MFD_CLOEXEC);
    if (camera.memory_file < 0 || ftruncate(camera.memory_file, size))
        return fail(ENOMEM);
    camera.memory = REAL(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, camera.memory_file, 0);
    return 0;
}

static void describe_buffer(unsigned index, struct v4l2_buffer *buffer)
{
    *buffer = camera.filled[index];
    buffer->index = index;
    buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer->memory = V4L2_MEMORY_MMAP;
    buffer->field = V4L2_FIELD_NONE;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->length = camera.size;
    buffer->m.offset = index * camera.size;
}

static int answer(int fd, unsigned long code, void *argument)
{
    switch (code) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->driver, "camera");
        strcpy((char *)capability->card, "A camera for tests");
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = argument;
        if (input->index)
            return fail(EINVAL);
        input->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_G_INPUT:
        *(int *)argument = 0;
        return 0;
    case VIDIOC_S_INPUT:
        return *(int *)argument ? fail(EINVAL) : 0;
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *description = argument;
        if (description->index)
            return fail(EINVAL);
        description->pixelformat = camera.format;
        return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
        describe(argument);
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = argument;
        parameters->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        parameters->parm.capture.timeperframe.numerator = 1;
        parameters->parm.capture.timeperframe.denominator = camera.rate;
        return 0;
    }
    case VIDIOC_REQBUFS:
        return make_buffers(argument);
    case VIDIOC_QUERYBUF:
    case VIDIOC_QBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= camera.buffers || camera.queued.count == MOST_BUFFERS)
            return fail(EINVAL);
        if (code == VIDIOC_QBUF)
            push(&camera.queued, buffer->index);
        describe_buffer(buffer->index, buffer);
        return 0;
    }
    case VIDIOC_DQBUF:
        advance(fd);
        if (!camera.done.count)
            return fail(EAGAIN);
        describe_buffer(pop(&camera.done), argument);
        return 0;
    case VIDIOC_STREAMON:
        set_timer(fd, camera.rate);
        return 0;
    case VIDIOC_STREAMOFF:
        set_timer(fd, 0);
        camera.queued.count = camera.done.count = 0;
        return 0;
    default:
        return fail(EINVAL);
    }
}

int ioctl(int fd, unsigned long code, ...)
{
    va_list rest;
    va_start(rest, code);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (!is_camera(fd))
        return REAL(ioctl)(fd, code, argument);
    code = (unsigned)code;
    if (code == VIDIOC_DQBUF)
        advance(fd); /* what is asked for is refused when its frame would have come */
    for (unsigned i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (CALLS[i].code == code && (code != VIDIOC_DQBUF || camera.done.count) && fails(CALLS[i].name))
            return fail(camera.error);
    return answer(fd, code, argument);
}

#define OPEN(name, parameters, arguments)                                                                              \
    int name parameters                                                                                                \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        return is_device(path) ? open_camera() : REAL(name) arguments;                                                 \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return REAL(mmap)(address, length, protection, flags, is_camera(fd) ? camera.memory_file : fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    return mmap(address, length, protection, flags, fd, offset);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    return is_camera(fd) ? fail(EINVAL) : REAL(read)(fd, buffer, size); /* its frames are in buffers alone */
}

int close(int fd)
{
    if (is_camera(fd))
        camera.opened[fd] = 0;
    return REAL(close)(fd);
}
