/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of AML, the byte code of ACPI tables: just the forms our DSDT
 * needs. Document: ACPI 6.5 "ACPI Machine Language (AML) Specification" (20).
 * The buffer is the caller's; running out of it is remembered, not checked
 * call by call.
 */
#ifndef VMM_AML_H
#define VMM_AML_H

#include "lib/util.h"

#define AML_NESTING 8

struct aml {
	uint8_t *buf;
	size_t size;
	size_t used;
	bool overflow;              /* something did not fit */
	unsigned depth;             /* packages now open */
	size_t start[AML_NESTING];  /* where each one's length goes */
	bool resource[AML_NESTING]; /* it is a resource buffer */
};

void aml_init(struct aml *a, void *buf, size_t size);

/* Raw bytes and little-endian words. */
void aml_bytes(struct aml *a, const void *p, size_t n);
void aml_u8(struct aml *a, uint8_t v);
void aml_u16(struct aml *a, uint16_t v);
void aml_u32(struct aml *a, uint32_t v);
void aml_u64(struct aml *a, uint64_t v);

/*
 * Everything between a begin and its aml_end() is the object's body. @path is
 * a name as AML source has it: "\\_SB", "PCI0.S01".
 */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *path);
void aml_method(struct aml *a, const char *path, unsigned args);
void aml_package(struct aml *a, const char *name_or_null, unsigned elements);
void aml_field(struct aml *a, const char *region, unsigned flags);
/* Name (_CRS, ResourceTemplate () {...}). */
void aml_resources(struct aml *a);
void aml_end(struct aml *a);

/* The shortest encoding of a constant. */
void aml_integer(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
/* Name (@path, @v) and the like. */
void aml_name_integer(struct aml *a, const char *path, uint64_t v);
void aml_name_string(struct aml *a, const char *path, const char *s);
/* Name (@path, EisaId (@id)), @id like "PNP0501". */
void aml_name_eisaid(struct aml *a, const char *path, const char *id);
void aml_path(struct aml *a, const char *path);

/* Resource descriptors, inside aml_resources(). */
void aml_io(struct aml *a, uint16_t port, uint8_t len);
void aml_irq(struct aml *a, unsigned irq);
/* A level-triggered interrupt, active high, by GSI. */
void aml_interrupt(struct aml *a, unsigned gsi);
void aml_word_bus(struct aml *a, uint16_t min, uint16_t max);
void aml_word_io(struct aml *a, uint16_t min, uint16_t max);
void aml_dword_memory(struct aml *a, uint32_t min, uint32_t max);
void aml_memory32(struct aml *a, uint32_t base, uint32_t len);

/*
 * Statements of methods. Locals 0 to 7. If (And (Local@n, @mask)) { ... } is
 * ended by aml_end().
 */
void aml_if_bit(struct aml *a, unsigned n, uint64_t mask);
void aml_notify(struct aml *a, const char *path, uint64_t what);
void aml_load(struct aml *a, const char *from, unsigned n);
void aml_store_integer(struct aml *a, uint64_t v, const char *to);

/* OperationRegion (@name, SystemIO, @port, @len). */
void aml_region_io(struct aml *a, const char *name, uint16_t port, uint8_t len);
/* A field unit of @bits, inside aml_field(). */
void aml_field_unit(struct aml *a, const char *name, unsigned bits);

#endif
