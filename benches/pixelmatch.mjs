// Times pixelmatch on two PNG files, decoded before: pixelmatch.mjs A B COUNT prints one number a line, in ms.
// Its packages are those of the folder it is started in.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const require = createRequire(process.cwd() + '/');
const { PNG } = require('pngjs');
const { default: pixelmatch } = await import(pathToFileURL(require.resolve('pixelmatch')).href);
const [a, b] = process.argv.slice(2, 4).map((path) => PNG.sync.read(readFileSync(path)));
const out = new PNG({ width: a.width, height: a.height });
for (let i = 0; i < Number(process.argv[4]); i++) {
  const begun = performance.now();
  const differing = pixelmatch(a.data, b.data, out.data, a.width, a.height, { threshold: 0.1 });
  console.log(performance.now() - begun);
  if (differing === 0) throw new Error('they are the same');
}
