// Bundles charts.mjs as charts.js.gz, with the licences of all that is in it at its
// head. The same versions make the same bytes.
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const text = (file) => readFileSync(`node_modules/${file}`, 'utf8').trim();
const version = JSON.parse(text('echarts/package.json')).version;
const licences = [
  `Apache ECharts ${version}, in part, bundled for this page; https://echarts.apache.org`,
  text('echarts/NOTICE'), text('echarts/LICENSE'), text('echarts/licenses/LICENSE-d3'),
  'ZRender', text('zrender/LICENSE'), 'tslib', text('tslib/LICENSE.txt'),
].join('\n\n').replaceAll('\r', '');
if (licences.includes('*/')) throw new Error('a licence would end the comment that it is in');

const { outputFiles } = await build({
  entryPoints: ['charts.mjs'], bundle: true, minify: true, write: false,
  format: 'iife', target: 'es2020', legalComments: 'none', banner: { js: `/*!\n${licences}\n*/` },
});
const script = outputFiles[0].contents;
if (outputFiles[0].text.toLowerCase().includes('</script')) throw new Error('the bundle would end the element that it is in');
writeFileSync('charts.js.gz', gzipSync(script, { level: 9 }));
