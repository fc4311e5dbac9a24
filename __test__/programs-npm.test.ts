import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedPlaces, programTest, run, shell } from './support/programs.ts';

for (const place of cachedPlaces) {
  programTest(
    `npm packs a package and installs it offline, with its cache on the mount (${place})`,
    ['npm'],
    async (t) => {
      const dir = await place.mount(t);
      const env = {
        npm_config_cache: join(dir, 'cache'),
        npm_config_userconfig: '/dev/null',
        NO_UPDATE_NOTIFIER: '1',
      };
      await shell(dir, 'mkdir -p greeter/bin greeter/lib project');
      const put = (path: string, contents: string): Promise<void> => writeFile(join(dir, path), contents);
      await put(
        'greeter/package.json',
        JSON.stringify({
          name: 'greeter',
          version: '1.2.3',
          bin: { greet: 'bin/greet.js' },
          main: 'lib/greeting.js',
        }),
      );
      await put('greeter/bin/greet.js', '#!/usr/bin/env node\nconsole.log(require("greeter"));\n');
      await put('greeter/lib/greeting.js', 'module.exports = "hello";\n');
      await put('project/package.json', JSON.stringify({ name: 'project', version: '1.0.0' }));

      const [{ filename, files }] = JSON.parse(
        await run('npm', ['pack', '--json'], { cwd: join(dir, 'greeter'), env }),
      );
      t.is(filename, 'greeter-1.2.3.tgz');
      t.deepEqual(
        files.map(({ path }: { path: string }) => path),
        ['bin/greet.js', 'lib/greeting.js', 'package.json'],
      );

      const project = { cwd: join(dir, 'project'), env };
      await run(
        'npm',
        ['install', '--offline', '--no-audit', '--no-fund', `../greeter/${filename}`],
        project,
      );
      t.is(await run('node_modules/.bin/greet', [], project), 'hello\n');
      t.is(await run('npm', ['exec', '--offline', 'greet'], project), 'hello\n');
      t.regex(await run('npm', ['ls', '--parseable', '--long'], project), /greeter@1\.2\.3/);

      await run('rm', ['-r', 'node_modules'], project);
      await run('npm', ['ci', '--offline', '--no-audit', '--no-fund'], project);
      t.is(await run('node_modules/.bin/greet', [], project), 'hello\n');
      await run('npm', ['cache', 'verify'], project);
    },
  );
}
