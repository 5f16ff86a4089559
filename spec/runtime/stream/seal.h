/* A filter that does what a secure layer does, for filter_test.c: frames and transforms bytes,
 * needs two messages before it is up, ends with a message of its own, and leaves when both sides
 * have said so. Frame: kind, two bytes of size, payload (xor key). Kinds: h H handshake, d data, e
 * end, x leave. `hello`, a handshake filter beside it, asks "HELLO\n", wants "OK\n" and takes
 * itself out. */
#ifndef QN_SPEC_STREAM_SEAL_H
#define QN_SPEC_STREAM_SEAL_H

#include "runtime/stream/rig.h"

typedef struct seal {
  qn_filter_t filter; /* first */
  uint8_t key;
  bool client, greeted, ended, left_out, left_in, refuse;
  size_t room; /* of fills below */
  int *destroyed;
} seal_t;

static seal_t *seal_of(qn_filter_t *f) { return (seal_t *)(void *)f; }

static int seal_frame(qn_filter_t *f, char kind, const uint8_t *data, size_t size)
{
  uint8_t frame[1003] = {(uint8_t)kind, (uint8_t)(size >> 8), (uint8_t)size};
  for (size_t i = 0; i < size; i++) {
    frame[3 + i] = data[i] ^ seal_of(f)->key;
  }
  qn_slice_t v = {frame, size + 3};
  return qn_filter_write_below(f, &v, 1);
}

/* One frame from below: its kind (payload in `data`), 0 = the end of the stream, or an error. */
static int64_t seal_next(qn_filter_t *f, uint8_t *data, size_t *size)
{
  for (;;) {
    qn_buf_t *rd = &f->below->rd;
    size_t have = qn_buf_size(rd);
    if (have >= 3) {
      const uint8_t *p = qn_buf_data(rd);
      *size = (size_t)(p[1] << 8 | p[2]);
      if (*size > 1000 || strchr("hHdex", p[0]) == NULL) {
        return QN_E_PROTOCOL;
      }
      if (have >= *size + 3) {
        char kind = (char)p[0];
        for (size_t i = 0; i < *size; i++) {
          data[i] = p[3 + i] ^ seal_of(f)->key;
        }
        qn_filter_consume(f->below, *size + 3);
        return kind;
      }
    }
    f->below->room = seal_of(f)->room;
    int64_t n = qn_filter_fill_below(f);
    if (n <= 0) {
      return n;
    }
  }
}

static int seal_start(qn_filter_t *f)
{
  seal_t *k = seal_of(f);
  uint8_t data[1000];
  size_t size;
  int rc = qn_filter_start_below(f);
  if (rc < 0) {
    return rc;
  }
  if (k->client && !k->greeted) {
    k->greeted = true;
    rc = seal_frame(f, 'h', (const uint8_t *)"hi", 2);
    if (rc < 0) {
      return rc;
    }
  }
  int64_t kind = seal_next(f, data, &size);
  if (kind <= 0) {
    return kind == 0 ? QN_E_EOF : (int)kind;
  }
  if (kind != (k->client ? 'H' : 'h') || size != 2 || memcmp(data, "hi", 2) != 0 || k->refuse) {
    return QN_E_PROTOCOL;
  }
  return k->client ? 0 : seal_frame(f, 'H', data, 2);
}

static int64_t seal_fill(qn_filter_t *f)
{
  seal_t *k = seal_of(f);
  uint8_t data[1000];
  size_t size;
  if (k->ended) {
    return 0;
  }
  int64_t kind = seal_next(f, data, &size);
  if (kind <= 0) {
    return kind == 0 ? QN_E_EOF : kind; /* cut off */
  }
  switch (kind) {
  case 'd': {
    int rc = qn_buf_append(&f->rd, data, size);
    return rc < 0 ? rc : (int64_t)size;
  }
  case 'e': k->ended = true; return 0;
  case 'x':
    k->left_in = true;
    if (!k->left_out) {
      k->left_out = true;
      int rc = seal_frame(f, 'x', NULL, 0);
      if (rc < 0) {
        return rc;
      }
    }
    qn_filter_leave(f);
    return QN_AGAIN;
  default: return QN_E_PROTOCOL;
  }
}

static int seal_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  for (int i = 0; i < n; i++) {
    for (size_t at = 0; at < v[i].size;) {
      size_t size = v[i].size - at < 1000 ? v[i].size - at : 1000;
      qn_slice_t raw = {v[i].data + at, size};
      int rc = seal_of(f)->left_out ? qn_filter_write_below(f, &raw, 1)
                                    : seal_frame(f, 'd', raw.data, size);
      if (rc < 0) {
        return rc;
      }
      at += size;
    }
  }
  return 0;
}

static int seal_finish(qn_filter_t *f)
{
  if (!seal_of(f)->left_out) {
    seal_of(f)->left_out = true;
    int rc = seal_frame(f, 'e', NULL, 0);
    if (rc < 0) {
      return rc;
    }
  }
  return qn_filter_finish_below(f);
}

static void seal_destroy(qn_filter_t *f)
{
  if (seal_of(f)->destroyed != NULL) {
    ++*seal_of(f)->destroyed;
  }
  qn_free(f);
}

static const qn_filter_ops_t seal_ops = {
    .name = "seal",
    .start = seal_start,
    .fill = seal_fill,
    .write = seal_write,
    .finish = seal_finish,
    .destroy = seal_destroy,
};

/* Asks the other side to leave. */
TEST_UNUSED static int seal_leave(seal_t *k)
{
  k->left_out = true;
  return seal_frame(&k->filter, 'x', NULL, 0);
}

TEST_UNUSED static seal_t *seal_new(bool client, uint8_t key)
{
  seal_t *k = qn_calloc(1, sizeof *k);
  if (k != NULL) {
    k->filter.ops = &seal_ops;
    k->client = client;
    k->key = key;
    k->room = SIZE_MAX;
  }
  return k;
}

/* --- hello ------------------------------------------------------------------------------------ */

typedef struct hello {
  qn_filter_t filter; /* first */
  bool asked;
} hello_t;

static int hello_start(qn_filter_t *f)
{
  hello_t *k = (hello_t *)(void *)f;
  int rc = qn_filter_start_below(f);
  if (rc < 0) {
    return rc;
  }
  if (!k->asked) {
    qn_slice_t v = {(const uint8_t *)"HELLO\n", 6};
    rc = qn_filter_write_below(f, &v, 1);
    if (rc < 0) {
      return rc;
    }
    k->asked = true;
  }
  for (;;) {
    if (qn_buf_size(&f->below->rd) >= 3) {
      bool ok = memcmp(qn_buf_data(&f->below->rd), "OK\n", 3) == 0;
      if (ok) {
        qn_filter_consume(f->below, 3);
      }
      return ok ? 0 : QN_E_PROTOCOL;
    }
    f->below->room = SIZE_MAX;
    int64_t n = qn_filter_fill_below(f);
    if (n <= 0) {
      return n == 0 ? QN_E_EOF : (int)n;
    }
  }
}

static void hello_destroy(qn_filter_t *f) { qn_free(f); }

static const qn_filter_ops_t hello_ops = {
    .name = "hello",
    .flags = QN_FILTER_HANDSHAKE,
    .start = hello_start,
    .destroy = hello_destroy,
};

TEST_UNUSED static qn_filter_t *hello_new(void)
{
  hello_t *k = qn_calloc(1, sizeof *k);
  if (k != NULL) {
    k->filter.ops = &hello_ops;
  }
  return k != NULL ? &k->filter : NULL;
}

#endif
