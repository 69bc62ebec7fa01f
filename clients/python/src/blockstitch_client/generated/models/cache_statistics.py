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

if TYPE_CHECKING:
    from ..models.cache_statistics_hit_tokens import CacheStatisticsHitTokens
    from ..models.pool_statistics import PoolStatistics
    from ..models.store_statistics import StoreStatistics
    from ..models.tenant_usage import TenantUsage
    from ..models.tier_statistics import TierStatistics


T = TypeVar("T", bound="CacheStatistics")


@_attrs_define
class CacheStatistics:
    object_: Literal["cache"]
    pool: PoolStatistics
    tiers: list[TierStatistics]
    store: None | StoreStatistics
    tenant: None | TenantUsage
    """ The caller's blocks in the store; null if it does not say. In Redis up to ten seconds old. """
    queried_tokens: int
    """ Prompt tokens that were looked up. """
    hit_tokens: CacheStatisticsHitTokens
    """ By tier. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.store_statistics import StoreStatistics  # noqa: PLC0415
        from ..models.tenant_usage import TenantUsage  # noqa: PLC0415

        object_ = self.object_

        pool = self.pool.to_dict()

        tiers = []
        for tiers_item_data in self.tiers:
            tiers_item = tiers_item_data.to_dict()
            tiers.append(tiers_item)

        store: dict[str, Any] | None
        if isinstance(self.store, StoreStatistics):
            store = self.store.to_dict()
        else:
            store = self.store

        tenant: dict[str, Any] | None
        if isinstance(self.tenant, TenantUsage):
            tenant = self.tenant.to_dict()
        else:
            tenant = self.tenant

        queried_tokens = self.queried_tokens

        hit_tokens = self.hit_tokens.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "object": object_,
                "pool": pool,
                "tiers": tiers,
                "store": store,
                "tenant": tenant,
                "queried_tokens": queried_tokens,
                "hit_tokens": hit_tokens,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.cache_statistics_hit_tokens import CacheStatisticsHitTokens  # noqa: PLC0415
        from ..models.pool_statistics import PoolStatistics  # noqa: PLC0415
        from ..models.store_statistics import StoreStatistics  # noqa: PLC0415
        from ..models.tenant_usage import TenantUsage  # noqa: PLC0415
        from ..models.tier_statistics import TierStatistics  # noqa: PLC0415

        d = dict(src_dict)
        object_ = cast(Literal["cache"], d.pop("object"))
        if object_ != "cache":
            raise ValueError(f"object must match const 'cache', got '{object_}'")

        pool = PoolStatistics.from_dict(d.pop("pool"))

        tiers = []
        _tiers = d.pop("tiers")
        for tiers_item_data in _tiers:
            tiers_item = TierStatistics.from_dict(tiers_item_data)

            tiers.append(tiers_item)

        def _parse_store(data: object) -> None | StoreStatistics:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                store_type_0 = StoreStatistics.from_dict(data)

                return store_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | StoreStatistics, data)

        store = _parse_store(d.pop("store"))

        def _parse_tenant(data: object) -> None | TenantUsage:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                tenant_type_0 = TenantUsage.from_dict(data)

                return tenant_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | TenantUsage, data)

        tenant = _parse_tenant(d.pop("tenant"))

        queried_tokens = d.pop("queried_tokens")

        hit_tokens = CacheStatisticsHitTokens.from_dict(d.pop("hit_tokens"))

        cache_statistics = cls(
            object_=object_,
            pool=pool,
            tiers=tiers,
            store=store,
            tenant=tenant,
            queried_tokens=queried_tokens,
            hit_tokens=hit_tokens,
        )

        cache_statistics.additional_properties = d
        return cache_statistics

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
