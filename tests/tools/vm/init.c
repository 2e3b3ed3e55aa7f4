/* The initrd's only program: loads the modules that /modules lists, mounts /dev/vda and hands over to its /sbin/init.
 * Anything that fails ends it, which makes the kernel panic and show why on the console. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { root_wait_ms = 30000, poll_ms = 10 };

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

int main(void)
{
	char line[256];
	struct stat root;
	const struct timespec pause = { 0, poll_ms * 1000000L };

	if (mount("dev", "/dev", "devtmpfs", 0, "") != 0)
		fail("mount /dev");
	FILE *modules = fopen("/modules", "r");
	if (!modules)
		fail("/modules");
	while (fgets(line, sizeof line, modules)) {
		line[strcspn(line, "\n")] = 0;
		load(line);
	}
	fclose(modules);
	for (int waited = 0; stat("/dev/vda", &root) != 0; waited += poll_ms) {
		if (waited >= root_wait_ms)
			fail("/dev/vda");
		nanosleep(&pause, NULL);
	}
	if (mount("/dev/vda", "/root", "ext4", 0, "") != 0)
		fail("mount /dev/vda");
	if (mount("/dev", "/root/dev", "", MS_MOVE, "") != 0)
		fail("move /dev");
	if (chdir("/root") != 0 || mount(".", "/", "", MS_MOVE, "") != 0 || chroot(".") != 0)
		fail("switch root");
	execl("/sbin/init", "/sbin/init", (char *)NULL);
	fail("/sbin/init");
}
