/* The initrd's only program: loads the modules that /modules lists, opens /dev/vda as the dm-verity device that the kernel's
 * argument rootverity=BLOCKS:HASH describes, mounts it and hands over to its /usr/local/sbin/before-systemd. Anything that fails
 * ends it, which makes the kernel panic and show why on the console. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { root_wait_ms = 30000, poll_ms = 10, block_bytes = 4096, sector_bytes = 512, digest_digits = 64 };

static const char *const program = "/usr/local/sbin/before-systemd";
static const char *const disk = "/dev/vda";
static const char *const verified = "/dev/dm-0";

static void fail(const char *what)
{
	printf("init: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		fail(path);
	close(fd);
}

static void load_modules(void)
{
	char line[256];
	FILE *modules = fopen("/modules", "r");
	if (!modules)
		fail("/modules");
	while (fgets(line, sizeof line, modules)) {
		line[strcspn(line, "\n")] = 0;
		load(line);
	}
	fclose(modules);
}

static void wait_for(const char *device)
{
	struct stat found;
	const struct timespec pause = { 0, poll_ms * 1000000L };
	for (int waited = 0; stat(device, &found) != 0; waited += poll_ms) {
		if (waited >= root_wait_ms)
			fail(device);
		nanosleep(&pause, NULL);
	}
}

/* The argument must be there exactly once. */
static unsigned long long read_argument(char *hash)
{
	char text[4096];
	unsigned long long blocks = 0;
	int found = 0, length = 0;
	FILE *arguments = fopen("/proc/cmdline", "r");
	if (!arguments || !fgets(text, sizeof text, arguments))
		fail("/proc/cmdline");
	fclose(arguments);
	for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
		if (sscanf(word, "rootverity=%llu:%64[0-9a-f]%n", &blocks, hash, &length) != 2)
			continue;
		errno = EINVAL;
		if (word[length] != 0 || strlen(hash) != digest_digits || ++found > 1)
			fail(word);
	}
	errno = ENOENT;
	if (found == 0)
		fail("rootverity=");
	return blocks;
}

static struct dm_ioctl *request(char *buffer, size_t size, const char *hash, unsigned flags)
{
	struct dm_ioctl *header = (struct dm_ioctl *)buffer;
	memset(buffer, 0, size);
	header->version[0] = DM_VERSION_MAJOR;
	header->data_size = size;
	header->data_start = sizeof *header;
	header->flags = flags;
	strcpy(header->name, "root");
	snprintf(header->uuid, sizeof header->uuid, "CRYPT-VERITY-%.32s-root", hash);
	return header;
}

/* A block that is not as it was is never answered for: the kernel names it and panics. */
static void open_verity(void)
{
	char buffer[4096], hash[digest_digits + 1] = "";
	unsigned long long blocks = read_argument(hash);
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (control < 0 || ioctl(control, DM_DEV_CREATE, request(buffer, sizeof buffer, hash, 0)) != 0)
		fail("DM_DEV_CREATE");

	/* DM_TABLE_LOAD and DM_DEV_SUSPEND take a name or an identifier, not both. */
	struct dm_ioctl *header = request(buffer, sizeof buffer, hash, DM_READONLY_FLAG);
	header->uuid[0] = 0;
	header->target_count = 1;
	struct dm_target_spec *target = (struct dm_target_spec *)(header + 1);
	target->length = blocks * (block_bytes / sector_bytes);
	strcpy(target->target_type, "verity");
	char *table = (char *)(target + 1);
	snprintf(table, buffer + sizeof buffer - table, "1 %s %s %d %d %llu %llu sha256 %s - 1 panic_on_corruption", disk,
		disk, block_bytes, block_bytes, blocks, blocks, hash);
	if (ioctl(control, DM_TABLE_LOAD, header) != 0)
		fail("DM_TABLE_LOAD");
	header = request(buffer, sizeof buffer, hash, 0);
	header->uuid[0] = 0;
	if (ioctl(control, DM_DEV_SUSPEND, header) != 0)
		fail("DM_DEV_SUSPEND");
	close(control);
}

int main(void)
{
	if (mount("dev", "/dev", "devtmpfs", 0, "") != 0 || mount("proc", "/proc", "proc", 0, "") != 0)
		fail("mount /dev, /proc");
	load_modules();
	wait_for(disk);
	open_verity();
	wait_for(verified);
	if (mount(verified, "/root", "ext4", MS_RDONLY, "") != 0)
		fail("mount the root");
	if (mount("/dev", "/root/dev", "", MS_MOVE, "") != 0 || umount("/proc") != 0)
		fail("move /dev");
	if (chdir("/root") != 0 || mount(".", "/", "", MS_MOVE, "") != 0 || chroot(".") != 0)
		fail("switch root");
	execl(program, program, (char *)NULL);
	fail(program);
}
