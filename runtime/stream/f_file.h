/* f_file.h: what file_ops.c may know of the file filter. Private to these two. */
#ifndef QN_STREAM_F_FILE_H
#define QN_STREAM_F_FILE_H

#include "qn/file.h"
#include "stream/stream_p.h"

typedef struct qn__f_file qn__f_file_t;

/* The file beneath a stream; NULL: it is closed, or something else, or another layer is on top. */
qn__f_file_t *qn__f_file_of(const qn_stream_t *s);
qn_file_t *qn__f_file_handle(const qn__f_file_t *k);
/* Bytes wait to be written and nothing has failed yet. */
bool qn__f_file_is_dirty(const qn__f_file_t *k);
/* The position; QN_AGAIN: the end of the file, wherever that is; -ESPIPE: there is none. */
int64_t qn__f_file_tell(const qn__f_file_t *k);
/* Forgets what was read ahead, its end and its failure. Nothing may be dirty. */
void qn__f_file_move(qn__f_file_t *k, int64_t position);

#endif
