/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option values: what is accepted, and that everything else is refused with
 * a sentence and changes nothing it should not.
 */
#include "vmm/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/keyval.h"

typedef int parser(struct config *c, const char *arg, struct err *e);

static struct config ok(parser *parse, const char *arg)
{
	struct config c;
	struct err e = {0};

	config_init(&c);
	if (parse(&c, arg, &e))
		fail_msg("'%s' refused: %s", arg, e.msg);
	assert_int_equal(e.code, 0);
	return c;
}

/* Refused, with @phrase in the sentence. */
static void no(parser *parse, const char *arg, const char *phrase)
{
	struct config c;
	struct err e = {0};

	config_init(&c);
	if (!parse(&c, arg, &e))
		fail_msg("'%s' accepted", arg);
	if (!strstr(e.msg, phrase) || strchr(e.msg, '\n'))
		fail_msg("'%s': '%s' lacks '%s'", arg, e.msg, phrase);
	config_exit(&c);
}

static void test_memory(void **state)
{
	static const struct {
		const char *arg;
		uint64_t size;
	} good[] = {
		{"512", 512ULL << 20},
		{"512M", 512ULL << 20},
		{"512m", 512ULL << 20},
		{"2G", 2ULL << 30},
		{"2g", 2ULL << 30},
		{"size=1G", 1ULL << 30},
		{"1.5G", 3ULL << 29},
		{"0.25T", 1ULL << 38},
		{"0x100", 256ULL << 20},
		{"4194304B", 4ULL << 20},
		{"8193K", (8193ULL << 10) + 3072},
	};
	static const char *const bad[] = {
		"",
		"12x",
		"-5",
		"0",
		"1",
		"G",
		"1GG",
		"1 G",
		"0x",
		"0xzz",
		"1G,slots=2",
		"size=",
		"1e3",
		"17T",
		"1G,1G",
		"maxmem=4G",
		"99999999999999999999",
		"16777216T",
		"8E",
		"+4",
		" 4",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(ok(config_memory, good[i].arg).ram_size,
				 good[i].size);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		no(config_memory, bad[i], "");
	no(config_memory, "1G,slots=2", "slots");
	no(config_memory, "17T", "17T");
}

static struct topo topology(parser *parse, const char *arg)
{
	struct config c = ok(parse, arg);

	config_exit(&c);
	return c.cpu.cpu.topo;
}

/* -smp and what is checked at the end. */
static int whole_smp(struct config *c, const char *arg, struct err *e)
{
	int ret = config_smp(c, arg, e);

	c->kernel = "k";
	return ret ? ret : config_check(c, e);
}

static int whole_cpu(struct config *c, const char *arg, struct err *e)
{
	int ret = config_cpu(c, arg, e);

	c->kernel = "k";
	return ret ? ret : config_check(c, e);
}

static int old_smp(struct config *c, const char *arg, struct err *e)
{
	int ret = config_machine(c, "pc-q35-6.1", e);

	return ret ? ret : whole_smp(c, arg, e);
}

static int flat_smp(struct config *c, const char *arg, struct err *e)
{
	int ret = whole_smp(c, arg, e);

	if (ret)
		return ret;
	ret = config_machine(c, "microvm", e);
	return ret ? ret : config_check(c, e);
}

static void check_smp(const char *arg, unsigned cpus, unsigned sockets,
		      unsigned cores, unsigned threads)
{
	struct topo s = topology(whole_smp, arg);

	assert_int_equal(s.cpus, cpus);
	assert_int_equal(s.sockets, sockets);
	assert_int_equal(s.cores, cores);
	assert_int_equal(s.threads, threads);
}

static void test_smp(void **state)
{
	check_smp("1", 1, 1, 1, 1);
	check_smp("4", 4, 1, 4, 1);
	check_smp("cpus=4", 4, 1, 4, 1);
	check_smp("4,sockets=2", 4, 2, 2, 1);
	check_smp("8,threads=2", 8, 1, 4, 2);
	check_smp("8,cores=2,threads=2", 8, 2, 2, 2);
	check_smp("cores=3,threads=2", 6, 1, 3, 2);
	check_smp("sockets=2,cores=3,threads=2", 12, 2, 3, 2);
	check_smp("6,sockets=1,cores=3", 6, 1, 3, 2);
	check_smp("4,maxcpus=4", 4, 1, 4, 1);
	no(whole_smp, "", "no number");
	no(whole_smp, "0", "0");
	no(whole_smp, "two", "two");
	no(whole_smp, "100000", "100000");
	no(whole_smp, "256", "256");
	no(whole_smp, "4,sockets=3", "not 4");
	no(whole_smp, "5,cores=2,threads=2", "not 5");
	no(whole_smp, "2,maxcpus=4", "hotplug");
	check_smp("8,dies=2,modules=2", 8, 1, 2, 1);
	assert_int_equal(topology(old_smp, "8,cores=2").sockets, 4);
	assert_int_equal(topology(old_smp, "8").sockets, 8);
	no(flat_smp, "4,dies=2", "dies");
	check_smp("4,sockets=1,dies=1,clusters=1,cores=2,threads=2", 4, 1, 2,
		  2);
	no(whole_smp, "4,clusters=2", "clusters");
	no(whole_smp, "4,cpus=4", "twice");
	no(whole_smp, "cores=1024,threads=1024,sockets=4096", "");
}

/* Several are tried in their order, as QEMU does. */
static void test_accel(void **state)
{
	struct config c = {0};

	c = ok(config_accel, "auto");
	assert_int_equal(c.accels.n, 2);
	assert_int_equal(c.accels.list[0], ACCEL_KVM);
	assert_int_equal(c.accels.list[1], ACCEL_LODGE);
	c = ok(config_accel, "lodge");
	assert_int_equal(c.accels.n, 1);
	assert_int_equal(c.accels.list[0], ACCEL_LODGE);
	c = ok(config_machine, "pc,accel=lodge:kvm:lodge");
	assert_int_equal(c.accels.n, 2);
	assert_int_equal(c.accels.list[0], ACCEL_LODGE);
	assert_int_equal(c.accels.list[1], ACCEL_KVM);
	assert_int_equal(config_accel(&c, "auto", NULL), 0);
	assert_int_equal(c.accels.n, 2);
	no(config_accel, "tcg", "'tcg' is not one of lodge, kvm, auto");
	no(config_accel, "kvm:tcg", "'tcg' is not one of lodge, kvm, auto");
	no(config_accel, "kvm:", "lodge, kvm, auto");
	no(config_accel, "", "lodge, kvm, auto");
}

static void test_names(void **state)
{
	ok(config_cpu, "host");
	ok(config_cpu, "max");
	no(config_cpu, "Z80", "'Z80' is no CPU model");
	topology(whole_cpu, "host,-avx");
	topology(whole_cpu, "EPYC-Milan-v2,+topoext,svm=off,-avx2,enforce");
	no(whole_cpu, "EPYC,+x87", "x87");
	no(whole_cpu, "EPYC,vmx-ept=on", "nested VMX");
	no(whole_cpu, "EPYC,level=many", "level");
	no(whole_cpu, "Conroe,legacy-cache=off", "no caches");
	no(whole_cpu, "EPYC,vendor=AMD", "vendor");
	assert_true(ok(config_machine, "pc").pci);
	assert_false(ok(config_machine, "microvm").pci);
	assert_false(ok(config_machine, "pc,pci=off").pci);
	assert_false(ok(config_machine, "pci=off").pci);
	assert_true(ok(config_machine, "type=microvm,pci=on").pci);
	assert_int_equal(ok(config_machine, "pc,accel=lodge").accels.n, 1);
	assert_true(ok(config_machine, "pc-q35-9.2").pci);
	ok(config_machine, "q35,smp-cache.0.cache=l2,"
			   "smp-cache.0.topology=die");
	no(config_machine, "q35,smp-cache.0.cache=l4", "l4");
	no(config_machine, "isapc", "no machine type");
	no(config_machine, "pc,usb=on", "usb is always off");
	no(config_machine, "pc,kernel-irqchip=split", "split");
	no(config_machine, "q35,acpi=off", "acpi is always on");
	assert_true(ok(config_machine, "q35,usb=off,hpet=off,acpi=on").pit);
	assert_false(ok(config_machine, "pc,pit=off").pit);
	no(config_machine, "pc,pit=maybe", "maybe");
	no(config_machine, "pc,pci=maybe", "maybe");
}

static void test_devices(void **state)
{
	struct config c = ok(config_device, "isa-debug-exit");
	struct err e = {0};

	assert_true(c.debug_exit);
	assert_int_equal(c.debug_exit_port, 0x501);
	assert_int_equal(c.debug_exit_size, 2);
	c = ok(config_device, "isa-debug-exit,iobase=0xf4,iosize=0x04");
	assert_int_equal(c.debug_exit_port, 0xf4);
	assert_int_equal(c.debug_exit_size, 4);
	assert_int_not_equal(config_device(&c, "isa-debug-exit", &e), 0);
	assert_true(ok(config_device, "pvpanic").pvpanic);
	assert_int_equal(ok(config_device, "pvpanic,ioport=0x606").pvpanic_port,
			 0x606);
	no(config_device, "isa-debug-exit,iosize=3", "1, 2 or 4");
	no(config_device, "isa-debug-exit,irq=3", "irq");
	no(config_device, "isa-debug-exit,iobase=0x10000", "0x10000");
	no(config_device, "pvpanic,ioport", "ioport");
	no(config_device, "e1000", "pc-testdev, pci-testdev, pvpanic");
	no(config_device, "", "no device");
}

static void test_fw_cfg(void **state)
{
	struct config c = ok(config_fw_cfg, "name=opt/a,string=b=c,,d");
	struct err e = {0};

	assert_int_equal(c.fw.count, 1);
	assert_string_equal(c.fw.item[0].name, "opt/a");
	assert_string_equal(c.fw.item[0].value, "b=c,d");
	assert_false(c.fw.item[0].is_file);
	assert_int_not_equal(config_fw_cfg(&c, "opt/a,file=/x", &e), 0);
	assert_true(ok(config_fw_cfg, "opt/a,file=/x").fw.item[0].is_file);
	no(config_fw_cfg, "", "name");
	no(config_fw_cfg, "opt/a", "string=");
	no(config_fw_cfg, "file=/x", "name");
	no(config_fw_cfg, "name=,string=x", "name");
	no(config_fw_cfg, "opt/a,string=x,file=y", "more than one");
	no(config_fw_cfg, "opt/a,gen_id=x", "gen_id");
	no(config_fw_cfg, "opt/a,string=x,bare", "bare");
	no(config_fw_cfg,
	   "opt/0123456789012345678901234567890123456789012345678901,string=x",
	   "55 bytes");
}

static struct charconf_port port_of(const char *arg)
{
	return ok(config_serial, arg).chars.port[0];
}

static int chardev(struct config *c, const char *arg, struct err *e)
{
	return charconf_chardev(&c->chars, arg, e);
}

static int mon(struct config *c, const char *arg, struct err *e)
{
	return charconf_mon(&c->chars, arg, e);
}

static void test_ports(void **state)
{
	struct config c = ok(config_serial, "file:/x,y");

	assert_int_equal(c.chars.ports, 1);
	assert_int_equal(c.chars.port[0].kind, CHARCONF_FILE);
	assert_string_equal(c.chars.port[0].path, "/x,y");
	assert_string_equal(c.serial, "serial0");
	assert_int_equal(port_of("null").kind, CHARCONF_NULL);
	assert_int_equal(port_of("stdio").kind, CHARCONF_STDIO);
	assert_false(port_of("stdio").mux);
	assert_true(port_of("mon:stdio").mux);
	assert_int_equal(port_of("pty").kind, CHARCONF_PTY);
	assert_int_equal(ok(config_serial, "none").chars.ports, 0);
	assert_string_equal(ok(config_serial, "chardev:x").serial, "x");
	no(config_serial, "file:", "file:PATH");
	no(config_serial, "udp:1:2", "udp:1:2");
	no(config_serial, "tcp:7", "HOST:PORT");
	no(config_serial, "unix:/s,serve=on", "serve");
	no(config_serial, "unix:/s,server=perhaps", "perhaps");
	assert_string_equal(ok(config_debugcon, "null").debugcon, "debugcon");
}

static void test_sockets(void **state)
{
	struct charconf_port p = port_of("tcp:::1:4444,server,nowait");

	assert_int_equal(p.kind, CHARCONF_SOCKET);
	assert_string_equal(p.host, "::1");
	assert_string_equal(p.port, "4444");
	assert_true(p.server);
	assert_false(p.wait);
	p = port_of("unix:/run/x,,y,server=on");
	assert_string_equal(p.path, "/run/x,y");
	assert_true(p.server);
	assert_true(p.wait);
}

/* Ports by name, and who may use them. */
static void test_chardevs(void **state)
{
	struct config c = ok(chardev, "socket,id=q,path=/x,server=on,wait=off");
	struct err e = {0};

	no(chardev, "socket,path=/x", "id=");
	no(chardev, "socket,id=x", "path=");
	no(chardev, "socket,id=x,path=/p,port=1", "exclude");
	no(chardev, "file,id=x", "path=");
	no(chardev, "null,id=x,path=/p", "path");
	no(chardev, "spicevmc,id=x", "spicevmc");
	no(mon, "mode=control", "chardev=");
	no(mon, "chardev=x,name=y", "pretty, id");
	no(mon, "chardev=x,mode=qmp", "qmp");
	c.kernel = "k";
	assert_int_equal(mon(&c, "chardev=q,mode=control,id=m", &e), 0);
	assert_int_equal(config_check(&c, &e), 0);
	config_exit(&c);
	/* COM1 and a monitor share one port only with mux=on. */
	c = ok(chardev, "pty,id=p");
	c.kernel = "k";
	assert_int_equal(config_serial(&c, "chardev:p", &e), 0);
	assert_int_equal(mon(&c, "chardev=p", &e), 0);
	assert_int_not_equal(config_check(&c, &e), 0);
	assert_non_null(strstr(e.msg, "mux=on"));
	config_exit(&c);
}

static void test_identity(void **state)
{
	struct config c = ok(config_uuid,
			     "12345678-9ABC-def0-1234-56789abcdef0");

	assert_string_equal(c.uuid, "12345678-9abc-def0-1234-56789abcdef0");
	no(config_uuid, "12345678", "form");
	c = ok(config_name, "guest=one,,two,debug-threads=on");
	assert_string_equal(c.name, "one,two");
	c = ok(config_name, "plain");
	assert_string_equal(c.name, "plain");
	no(config_name, "", "no name");
	no(config_name, "guest=", "characters");
	no(config_name, "a,process=b", "debug-threads");
	no(config_name, "a,debug-threads=off", "only be on");
	no(config_uuid, "12345678-9ABC-def0-1234-56789abcdefg", "form");
	no(config_uuid, "12345678-9ABC-def0-1234-56789abcdef01", "form");
	assert_int_equal(ok(config_rtc, "base=utc").rtc_offset, 0);
	assert_true(
		ok(config_rtc, "clock=vm,base=2100-01-02T03:04:05").rtc_offset >
		86400);
	assert_true(ok(config_rtc, "clock=vm").rtc_stops);
	assert_true(ok(config_rtc, "base=1999-12-31").rtc_offset < -86400);
	no(config_rtc, "base=tomorrow", "localtime");
	no(config_rtc, "clock=wall", "host");
	no(config_rtc, "driftfix=slew", "driftfix=none");
}

static void test_actions(void **state)
{
	struct config c = ok(config_action, "panic=pause,shutdown=pause");

	assert_int_equal(c.action.panic, PANIC_PAUSE);
	assert_int_equal(c.action.shutdown_holds, 1);
	assert_int_equal(c.action.reboot_ends, 0);
	no(config_action, "reboot=pause", "shutdown");
	no(config_action, "watchdog=none", "watchdog");
	no(config_action, "pause", "pause");
}

static void test_check(void **state)
{
	struct config c;
	struct err e = {0};

	config_init(&c);
	assert_int_not_equal(config_check(&c, &e), 0);
	assert_non_null(strstr(e.msg, "-kernel"));
	c.kernel = "k";
	e.code = 0;
	assert_int_equal(config_check(&c, &e), 0);
	config_exit(&c);
	config_init(&c);
	c.kernel = "k";
	assert_int_equal(config_serial(&c, "stdio", &e), 0);
	assert_int_equal(config_debugcon(&c, "stdio", &e), 0);
	assert_int_not_equal(config_check(&c, &e), 0);
	config_exit(&c);
}

/* A port of a device has its -chardev for itself. */
static void test_charports(void **state)
{
	static const char *const serial[] = {"null", "chardev:x"};
	struct config c;
	struct err e;
	unsigned i;

	for (i = 0; i < 2; i++) {
		config_init(&c);
		e = (struct err){0};
		c.kernel = "k";
		assert_int_equal(charconf_chardev(&c.chars, "null,id=x", &e),
				 0);
		assert_int_equal(config_serial(&c, serial[i], &e), 0);
		assert_int_equal(config_device(&c, "virtio-serial", &e), 0);
		assert_int_equal(
			config_device(&c, "virtserialport,chardev=x", &e), 0);
		assert_int_equal(!config_check(&c, &e), !i);
		config_exit(&c);
	}
	assert_non_null(strstr(e.msg, "'x' is used already"));
}

/* A -netdev vhost-user has the socket of its -chardev for itself. */
static void test_vhost_chardev(void **state)
{
	static const struct {
		const char *chardev, *serial, *phrase;
	} rows[] = {
		{"socket,id=x,path=/s,reconnect=2", "null", NULL},
		{"socket,id=x,path=/s,server=on,wait=off", "null", NULL},
		{"socket,id=x,path=/s", "chardev:x", "used already"},
		{"socket,id=y,path=/s", "null", "no chardev 'x'"},
		{"socket,id=x,port=1", "null", "path="},
		{"pty,id=x", "null", "path="},
		{"socket,id=x,path=/s,reconnect=z", "null", "reconnect"},
		{"socket,id=x,path=/s,server=on,reconnect=1", "null", "client"},
	};
	struct config c;
	struct err e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		config_init(&c);
		e = (struct err){0};
		c.kernel = "k";
		assert_int_equal(
			charconf_chardev(&c.chars, rows[i].chardev, &e), 0);
		assert_int_equal(config_serial(&c, rows[i].serial, &e), 0);
		assert_int_equal(
			config_netdev(&c, "vhost-user,id=n,chardev=x", &e), 0);
		if (!config_check(&c, &e) != !rows[i].phrase ||
		    (rows[i].phrase && !strstr(e.msg, rows[i].phrase)))
			fail_msg("%s: '%s'", rows[i].chardev, e.msg);
		config_exit(&c);
	}
	no(config_netdev, "vhost-user,id=n,chardev=x,server=on", "no choice");
	no(config_netdev, "vhost-user,id=n", "chardev=");
}

static void test_keyval(void **state)
{
	const char *text = "a,,b,k=v,,w=x,";
	struct keyval kv;
	struct err e = {0};
	char longest[KEYVAL_MAX + 1];

	assert_int_equal(keyval_next(&text, &kv, &e), 1);
	assert_true(kv.bare);
	assert_string_equal(kv.value, "a,b");
	assert_int_equal(keyval_next(&text, &kv, &e), 1);
	assert_string_equal(kv.key, "k");
	assert_string_equal(kv.value, "v,w=x");
	assert_int_equal(keyval_next(&text, &kv, &e), 0);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	text = longest;
	assert_in_range(-keyval_next(&text, &kv, &e), 1, 4095);
	text = "=v";
	assert_in_range(-keyval_next(&text, &kv, &e), 1, 4095);
}

/* Thread, core and socket fields of an APIC id never run into each other. */
static void test_apic_ids(void **state)
{
	const struct topo six = {6, 6, 1, 1, 1, 3, 2};
	const struct topo sock = {12, 12, 2, 1, 1, 3, 2};
	const struct topo deep = {24, 24, 1, 3, 2, 2, 2};
	static const uint32_t want[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13};
	unsigned i;

	for (i = 0; i < 6; i++)
		assert_int_equal(topo_place(&six, i).apic_id, i);
	for (i = 0; i < 12; i++)
		assert_int_equal(topo_place(&sock, i).apic_id, want[i]);
	assert_int_equal(topo_place(&deep, 23).apic_id, 23);
	assert_int_equal(topo_place(&deep, 23).die, 2);
	assert_int_equal(topo_shift(&deep, TOPO_SOCKET), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_smp),
		cmocka_unit_test(test_accel),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_chardevs),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_charports),
		cmocka_unit_test(test_vhost_chardev),
		cmocka_unit_test(test_keyval),
		cmocka_unit_test(test_apic_ids),
		cmocka_unit_test(test_fw_cfg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
