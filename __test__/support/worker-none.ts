/** A module that workers cannot serve: it exports no filesystem. */

export default 'no filesystem';
