/**
 * Filesystems whose files are the kernel's own, by the magic numbers of `statfs(2)` (`linux/magic.h`), and their names.
 * Their files check the process that opens, reads or writes them, and not only its right to by the mode: of a mirror
 * that is the server.
 */
export const KERNEL_FILESYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x5a3c69f0, 'apparmorfs'],
  [0x42494e4d, 'binfmt_misc'],
  [0x6c6f6f70, 'binderfs'],
  [0xcafe4a11, 'bpf'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
  [0x62656570, 'configfs'],
  [0x64626720, 'debugfs'],
  [0xde5e81e4, 'efivarfs'],
  [0x65735543, 'fusectl'],
  [0x19800202, 'mqueue'],
  [0x6e667364, 'nfsd'],
  [0x6e736673, 'nsfs'],
  [0x9fa0, 'proc'],
  [0x6165676c, 'pstore'],
  [0x7655821, 'resctrl'],
  [0x67596969, 'rpc_pipefs'],
  [0x73636673, 'securityfs'],
  [0xf97cff8c, 'selinuxfs'],
  [0x43415d53, 'smackfs'],
  [0x62656572, 'sysfs'],
  [0x74726163, 'tracefs'],
  [0x9fa2, 'usbdevfs'],
  [0xabba1974, 'xenfs'],
]);
