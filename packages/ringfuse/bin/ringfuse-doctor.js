#!/usr/bin/env node
import { doctor } from '../dist/doctor/index.js';

await doctor(process.argv.includes('--json'));
