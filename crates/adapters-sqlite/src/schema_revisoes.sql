-- Revisions of the hours of sample work items. Revision 1 is the sample itself and has no row.
CREATE TABLE revisoes (
    work_item_id INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    completed_work REAL,
    remaining_work REAL,
    em INTEGER NOT NULL,
    PRIMARY KEY (work_item_id, rev)
) STRICT;
