/** The tiny filesystem as a loop over its mount, in the way that the README shows. */

import type { Mount, Request } from 'ringfuse';
import type { Tiny } from './tiny.ts';

/** Answers every request of `fs` until it ends. */
export async function loop(fs: Mount, tiny: Tiny): Promise<void> {
  for await (const request of fs) {
    try {
      answer(tiny, request);
    } catch (error) {
      request.fail(error as Error);
    }
  }
}

function answer(tiny: Tiny, request: Request): void {
  switch (request.op) {
    case 'lookup':
      request.reply(tiny.lookup(request));
      break;
    case 'getattr':
      request.reply(tiny.getattr(request));
      break;
    case 'setattr':
      request.reply(tiny.setattr(request));
      break;
    case 'open':
      request.reply(tiny.open(request));
      break;
    case 'create':
      request.reply(tiny.create(request));
      break;
    case 'read':
      request.reply(tiny.read(request));
      break;
    case 'write':
      request.reply(tiny.write(request));
      break;
    case 'unlink':
      request.reply(tiny.unlink(request));
      break;
    case 'rename':
      request.reply(tiny.rename(request));
      break;
    case 'rename2':
      request.reply(tiny.rename2(request));
      break;
    case 'readdir':
      request.reply(tiny.readdir(request));
      break;
    case 'readdirplus':
      request.reply(tiny.readdirplus(request));
      break;
    case 'statfs':
      request.reply(tiny.statfs());
      break;
    case 'opendir':
    case 'release':
    case 'releasedir':
    case 'fsync':
    case 'fsyncdir':
    case 'forget':
    case 'destroy':
      request.reply(undefined);
      break;
    default:
      request.fail('ENOSYS');
  }
}
