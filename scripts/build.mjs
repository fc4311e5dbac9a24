/** `npm run build`: installs and builds what is due. */

import { prepare } from './prepare.mjs';
import { main } from './run.mjs';

await main(prepare);
