// pac_resolver.mjs MODULES SCRIPT ADDRESSES: what npm's pac-resolver says for each line of ADDRESSES.
import fs from 'fs'
import path from 'path'
const [modules, script, addresses] = process.argv.slice(2)
const module = name => path.join(modules, 'node_modules', name)
const { createPacResolver } = await import(module('pac-resolver/dist/index.js'))
const { QuickJS } = await import(module('quickjs-wasi/dist/index.js'))
const wasm = fs.readFileSync(module('quickjs-wasi/quickjs.wasm'))
const find = createPacResolver(await QuickJS.create({ wasm }), fs.readFileSync(script, 'utf8'))
for (const url of fs.readFileSync(addresses, 'utf8').trim().split('\n')) console.log(await find(url))
