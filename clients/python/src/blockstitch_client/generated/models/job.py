from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.job_status import JobStatus, check_job_status

if TYPE_CHECKING:
    from ..models.job_error import JobError


T = TypeVar("T", bound="Job")


@_attrs_define
class Job:
    id: str
    object_: Literal["job"]
    status: JobStatus
    """ `running` until it has ended, also while it waits. """
    document_id: str
    """ The id under which it will be found. """
    created_at: int
    """ Unix time, seconds. """
    blocks_done: int
    """ Blocks that are cached and stored. """
    blocks_total: int
    """ 0 until the text has been segmented. """
    error: JobError | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.job_error import JobError  # noqa: PLC0415

        id = self.id

        object_ = self.object_

        status: str = self.status

        document_id = self.document_id

        created_at = self.created_at

        blocks_done = self.blocks_done

        blocks_total = self.blocks_total

        error: dict[str, Any] | None
        if isinstance(self.error, JobError):
            error = self.error.to_dict()
        else:
            error = self.error

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "object": object_,
                "status": status,
                "document_id": document_id,
                "created_at": created_at,
                "blocks_done": blocks_done,
                "blocks_total": blocks_total,
                "error": error,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.job_error import JobError  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        object_ = cast(Literal["job"], d.pop("object"))
        if object_ != "job":
            raise ValueError(f"object must match const 'job', got '{object_}'")

        status = check_job_status(d.pop("status"))

        document_id = d.pop("document_id")

        created_at = d.pop("created_at")

        blocks_done = d.pop("blocks_done")

        blocks_total = d.pop("blocks_total")

        def _parse_error(data: object) -> JobError | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = JobError.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(JobError | None, data)

        error = _parse_error(d.pop("error"))

        job = cls(
            id=id,
            object_=object_,
            status=status,
            document_id=document_id,
            created_at=created_at,
            blocks_done=blocks_done,
            blocks_total=blocks_total,
            error=error,
        )

        job.additional_properties = d
        return job

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
