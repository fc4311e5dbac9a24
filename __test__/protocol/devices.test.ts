import type { PollRequest } from 'ringfuse';
import { noPython } from '../support/python.ts';
import { HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { startSystemCalls, systemCalls } from '../support/system-calls.ts';

const POLLIN = 1;
const POLLOUT = 4;

protocolTest(
  'ioctl has the command, and the bytes that the command says',
  [
    {
      kind: 'operation',
      name: 'ioctl',
      call: 'ioctl(2) _IOWR, _IOR, _IO, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS',
      result: "the handler's result and bytes; ENOTTY",
    },
  ],
  async (t, transport) => {
    const FS_IOC_GETFLAGS = 0x80086601;
    const FS_IOC_SETFLAGS = 0x40086602;
    const FS_IOC_FSGETXATTR = 0x801c581f;
    const EXCHANGE = 0xc0107201;
    const { dir, of } = await recording(t, transport, {
      ioctl({ cmd, data }) {
        switch (cmd) {
          case EXCHANGE:
            return { result: 42, data: Buffer.from(data).reverse() };
          case FS_IOC_GETFLAGS:
            return { data: Buffer.from([0x10, 0, 0, 0]) };
          // The kernel reads the old attributes so before it sets new ones.
          case FS_IOC_FSGETXATTR:
            return { data: Buffer.alloc(28) };
          case FS_IOC_SETFLAGS:
            return undefined;
          default:
            throw Object.assign(new Error('ENOTTY'), { code: 'ENOTTY' });
        }
      },
    });
    const said = await systemCalls(
      t,
      `
fd = os.open(at('file'), os.O_RDWR)
room = bytearray(b'0123456789abcdef')
result = fcntl.ioctl(fd, ${EXCHANGE}, room, True)
flags = bytearray(8)
fcntl.ioctl(fd, ${FS_IOC_GETFLAGS}, flags, True)
set = attempt(fcntl.ioctl, fd, ${FS_IOC_SETFLAGS}, struct.pack('q', 0x20))
directory = os.open(at('dir'), os.O_RDONLY)
say([result, bytes(room), list(flags[:4]), set, attempt(fcntl.ioctl, fd, 0x7202, 5), attempt(fcntl.ioctl, directory, ${EXCHANGE}, bytearray(16), True)])
`,
      dir,
    );
    t.deepEqual(said, [42, 'fedcba9876543210', [0x10, 0, 0, 0], ' \0\0\0\0\0\0\0', 'ENOTTY', 42]);
    const [exchange, ...others] = of('ioctl');
    t.like(exchange, {
      op: 'ioctl',
      ino: NODES.file,
      fh: HANDLE,
      cmd: EXCHANGE,
      outSize: 16,
      data: '0123456789abcdef',
      directory: false,
    });
    t.regex(exchange.arg as string, /^\d+$/);
    const find = (cmd: number) => others.find((request) => request.cmd === cmd);
    t.like(find(FS_IOC_GETFLAGS), { ino: NODES.file, data: '', outSize: 4 });
    t.like(find(FS_IOC_SETFLAGS), { ino: NODES.file, outSize: 0, data: ' \0\0\0' });
    t.like(find(0x7202), { arg: '5', data: '', outSize: 0 });
    t.like(others.at(-1), { ino: NODES.dir, cmd: EXCHANGE, directory: true });
  },
  { missing: noPython },
);

protocolTest(
  'poll says what is there, and a notification wakes whoever waits',
  [
    {
      kind: 'operation',
      name: 'poll',
      call: 'poll(2), epoll_wait(2)',
      result: 'the events; always ready without',
    },
    {
      kind: 'notification',
      name: 'POLL',
      call: 'poll(2), epoll_wait(2)',
      result: 'wakes; true even if unknown',
    },
  ],
  async (t, transport) => {
    let ready = 0;
    const waiting: PollRequest[] = [];
    const { dir, of, mount, recorder } = await recording(t, transport, {
      poll(request) {
        if (request.scheduleNotify && ready === 0) waiting.push(request);
        return ready & request.events;
      },
    });
    const program = startSystemCalls(
      `
fd = os.open(at('file'), os.O_RDWR)
p = select.poll()
p.register(fd, select.POLLIN | select.POLLOUT)
say(p.poll(0))
say('poll')
say([event for _, event in p.poll()])
sys.stdin.readline()
e = select.epoll()
e.register(fd, select.EPOLLIN)
say('epoll')
say([event for _, event in e.poll()])
`,
      dir,
    );
    t.teardown(() => program.kill('SIGKILL'));
    const wake = async (events: number, count: number) => {
      while (waiting.length < count) await recorder.until('poll', of('poll').length + 1);
      ready = events;
      return mount.notify.poll(waiting[count - 1].kh);
    };
    t.is(await program.line(), '[]');
    t.is(await program.line(), '"poll"');
    t.true(await wake(POLLOUT, 1));
    t.is(await program.line(), `[${POLLOUT}]`);
    ready = 0;
    program.tell('on');
    t.is(await program.line(), '"epoll"');
    t.true(await wake(POLLIN, 2));
    t.is(await program.line(), `[${POLLIN}]`);
    t.deepEqual((await program.ended).stderr, '');
    t.like(of('poll')[0], { op: 'poll', ino: NODES.file, fh: HANDLE, scheduleNotify: false });
    t.is((of('poll')[0].events as number) & (POLLIN | POLLOUT), POLLIN | POLLOUT);
    t.like(
      of('poll').find(({ scheduleNotify }) => scheduleNotify),
      { ino: NODES.file, fh: HANDLE, kh: String(waiting[0].kh) },
    );
    t.true(await mount.notify.poll(123n));

    const without = await recording(t, transport);
    t.is(
      await systemCalls(
        t,
        `
p = select.poll()
p.register(os.open(at('file'), os.O_RDWR), select.POLLIN)
say(p.poll()[0][1])
`,
        without.dir,
      ),
      POLLIN,
    );
  },
  { missing: noPython },
);

protocolTest(
  'what is for filesystems on block devices is not sent',
  [
    { kind: 'operation', name: 'bmap', call: 'ioctl(2) FIBMAP', result: 'not sent (only fuseblk): block 0' },
    { kind: 'operation', name: 'syncfs', call: 'syncfs(2)', result: 'not sent (only fuseblk, virtiofs): 0' },
    {
      kind: 'operation',
      name: 'destroy',
      call: 'umount2(2)',
      result: 'not sent (only fuseblk): the loop ends',
    },
  ],
  async (t, transport) => {
    const { dir, of, mount, served } = await recording(t, transport, {
      bmap: ({ block }) => block,
      syncfs: () => undefined,
    });
    const said = await systemCalls(
      t,
      `
fd = os.open(at('file'), os.O_RDWR)
block = bytearray(struct.pack('i', 3))
say([attempt(fcntl.ioctl, fd, 1, block, True), list(block), attempt(call, 306, fd)])
`,
      dir,
    );
    t.deepEqual(said, [0, [0, 0, 0, 0], 0]);
    await mount.close();
    await served;
    t.deepEqual([of('bmap'), of('syncfs'), of('destroy')], [[], [], []]);
  },
  { missing: noPython },
);
